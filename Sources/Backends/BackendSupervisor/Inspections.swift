internal import LinuxSystem
internal import SandboxLaunch

/// Which models are to be inspected next, and what was found. One is inspected at a time. Pure.
///
/// What was found holds for as long as the file and its settings are the same.
struct Inspections {
    struct Subject: Equatable, Sendable {
        let definition: BackendDefinition
        /// Of each file of its weights.
        let weights: [FileFacts]

        static func == (left: Subject, right: Subject) -> Bool {
            left.weights == right.weights && left.definition.isSame(as: right.definition)
        }
    }

    private enum Standing {
        case waiting
        case running
        case ended(InspectedFile)
    }

    private var models: [BackendCatalog.Key: (subject: Subject, standing: Standing)] = [:]
    /// The waiting ones, in order.
    private var line: [BackendCatalog.Key] = []
    private var isRunning = false
    /// The executables that inspect nothing.
    private var unable: [FileFacts] = []

    private static let unableMax = 64

    /// Takes the models that a look found whole. Whoever is not among them is forgotten.
    mutating func look(_ subjects: [BackendCatalog.Key: Subject]) {
        let before = models
        models = [:]
        for (key, subject) in subjects where !unable.contains(subject.definition.executable.facts) {
            if let known = before[key], known.subject == subject {
                models[key] = known
            } else {
                models[key] = (subject, .waiting)
                if !line.contains(key) { line.append(key) }
            }
        }
        line.removeAll { key in if case .waiting = models[key]?.standing { false } else { true } }
    }

    /// The model whose inspection begins now; nil while another one is inspected, or when none waits.
    mutating func next() -> (key: BackendCatalog.Key, subject: Subject)? {
        guard !isRunning, let key = line.first, let subject = models[key]?.subject else { return nil }
        line.removeFirst()
        models[key]?.standing = .running
        isRunning = true
        return (key, subject)
    }

    /// The inspection that `next` began has ended. It is worth nothing if the model has changed meanwhile.
    mutating func ended(_ key: BackendCatalog.Key, _ subject: Subject, _ file: InspectedFile) {
        isRunning = false
        if file == .unable {
            let executable = subject.definition.executable.facts
            unable = Array((unable + [executable]).suffix(Self.unableMax))
            models = models.filter { $0.value.subject.definition.executable.facts != executable }
            line.removeAll { models[$0] == nil }
        } else if let known = models[key], known.subject == subject {
            models[key]?.standing = .ended(file)
        }
    }

    /// The inspection that `next` began was ended by a pause: it begins again after it.
    mutating func postponed(_ key: BackendCatalog.Key, _ subject: Subject) {
        isRunning = false
        guard let known = models[key], known.subject == subject else { return }
        models[key]?.standing = .waiting
        line.insert(key, at: 0)
    }

    /// A request waits for the model: it is inspected next.
    mutating func hurry(_ key: BackendCatalog.Key) {
        guard let index = line.firstIndex(of: key) else { return }
        line.remove(at: index)
        line.insert(key, at: 0)
    }

    /// Whether the model is to be inspected, and was not yet.
    func isAwaited(_ key: BackendCatalog.Key) -> Bool {
        switch models[key]?.standing {
        case .waiting, .running: true
        case .ended, nil: false
        }
    }

    /// What was found; nil where nothing was yet, or where the backend inspects nothing.
    subscript(_ key: BackendCatalog.Key) -> InspectedFile? {
        if case .ended(let file) = models[key]?.standing { file } else { nil }
    }
}
