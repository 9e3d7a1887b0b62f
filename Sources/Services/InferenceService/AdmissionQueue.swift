/// Who waits for a sequence of one model, first come first served.
struct AdmissionQueue<Element: AnyObject> {
    /// What a request finds.
    enum Admission: Equatable {
        case queued(position: Int)
        case full
    }

    private let capacity: Int
    private var elements: [Element] = []

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { elements.count }
    var first: Element? { elements.first }
    var waiting: [Element] { elements }

    mutating func append(_ element: Element) -> Admission {
        guard elements.count < capacity else { return .full }
        elements.append(element)
        return .queued(position: elements.count - 1)
    }

    /// Takes out one that no longer waits; says whether it did.
    mutating func remove(_ element: Element) -> Bool {
        guard let index = elements.firstIndex(where: { $0 === element }) else { return false }
        elements.remove(at: index)
        return true
    }

    mutating func removeAll() -> [Element] {
        defer { elements = [] }
        return elements
    }
}
