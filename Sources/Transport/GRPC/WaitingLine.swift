/// Who waits for something, those first that came first. Pure; each step costs the same however many wait, one that goes
/// before its turn included.
struct WaitingLine<Element> {
    /// A place in the line.
    typealias Ticket = UInt64

    private var elements: [Ticket: Element] = [:]
    private var nextToCome: Ticket = 0
    /// Nobody with a lower number waits.
    private var nextToGo: Ticket = 0

    var isEmpty: Bool { elements.isEmpty }

    mutating func append(_ element: Element) -> Ticket {
        defer { nextToCome += 1 }
        elements[nextToCome] = element
        return nextToCome
    }

    /// Does nothing for who waits no more.
    mutating func remove(_ ticket: Ticket) { elements[ticket] = nil }

    mutating func popFirst() -> Element? {
        while nextToGo < nextToCome {
            defer { nextToGo += 1 }
            if let element = elements.removeValue(forKey: nextToGo) { return element }
        }
        return nil
    }
}
