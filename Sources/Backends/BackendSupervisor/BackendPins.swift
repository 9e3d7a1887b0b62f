internal import BaseEncodings

/// The files of backends that are run without asking: each as it was when it was first seen, or when its owner last
/// trusted it. Pure.
///
/// A pin outlives its backend, so that another executable under the same name does not pass for it.
package struct BackendPins: Equatable, Sendable {
    package enum Part: String, CaseIterable, Sendable { case executable, manifest, policy }

    /// The SHA-256 of what a backend consists of.
    package struct Files: Equatable, Sendable {
        /// Of the file in the folder: of a script, without the program that runs it. Nil: it was not read yet.
        package var executable: [UInt8]?
        /// Nil: it has none.
        package var manifest: [UInt8]?
        /// Nil: it cannot be read.
        package var policy: [UInt8]?

        package init(executable: [UInt8]?, manifest: [UInt8]?, policy: [UInt8]?) {
            self.executable = executable
            self.manifest = manifest
            self.policy = policy
        }

        /// Whether nothing of it is unknown.
        var areKnown: Bool { executable != nil && policy != nil }

        subscript(_ part: Part) -> [UInt8]? {
            get {
                switch part {
                case .executable: executable
                case .manifest: manifest
                case .policy: policy
                }
            }
            set {
                switch part {
                case .executable: executable = newValue
                case .manifest: manifest = newValue
                case .policy: policy = newValue
                }
            }
        }
    }

    /// A part that is not as it was pinned.
    package struct Change: Equatable, Sendable {
        package let part: Part
        /// SHA-256; nil: there was none, or there is none now.
        package let was: [UInt8]?
        package let found: [UInt8]?

        /// As a sentence about the backend, with the first digits of each digest.
        package var words: String {
            func digits(_ digest: [UInt8]) -> String { "sha256 \(hexadecimal(digest).prefix(12))…" }
            return switch (was, found) {
            case (let was?, let found?): "its \(part) changed: was \(digits(was)), is \(digits(found))"
            case (let was?, nil): "its \(part) is gone: was \(digits(was))"
            case (nil, let found?): "it had no \(part): now \(digits(found))"
            case (nil, nil): "its \(part) is as it was"
            }
        }
    }

    enum Verdict: Equatable, Sendable {
        case pinned
        /// No backend of its name was seen before: it is to be pinned as it is.
        case firstSight
        /// Whatever is not as it was pinned, an installation has put there: it is to be pinned as it is.
        case installed
        /// It is as it was pinned as far as it is known.
        case unknown
        case changed([Change])
    }

    /// Names are kept for ever, so there is a most.
    static let countMax = 1_024

    private(set) var all: [String: Files]

    init(_ all: [String: Files] = [:]) { self.all = all }

    /// Whether another name can be pinned.
    var haveRoom: Bool { all.count < Self.countMax }

    /// - Parameter installed: whether an installation has put a part with this digest there.
    func verdict(on name: String, _ files: Files, installed: (Part, [UInt8]) -> Bool = { _, _ in false }) -> Verdict {
        guard let pinned = all[name] else { return files.areKnown ? .firstSight : .unknown }
        var changes: [Change] = []
        var isAsPinned = true
        for part in Part.allCases where files[part] != pinned[part] {
            // A part that was not read is compared once it was.
            if files[part] == nil, part != .manifest { continue }
            isAsPinned = false
            if let found = files[part], installed(part, found) { continue }
            changes.append(Change(part: part, was: pinned[part], found: files[part]))
        }
        guard changes.isEmpty else { return .changed(changes) }
        guard files.areKnown else { return .unknown }
        return isAsPinned ? .pinned : .installed
    }

    /// What is known of `files` is what is run from now on; the rest stays as it was pinned.
    mutating func pin(_ name: String, _ files: Files) {
        var pinned = files
        pinned.executable = files.executable ?? all[name]?.executable
        pinned.policy = files.policy ?? all[name]?.policy
        all[name] = pinned
    }
}
