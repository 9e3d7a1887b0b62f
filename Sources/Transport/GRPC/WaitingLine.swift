/// A queue, first in, first out, from which an element can also be removed before its turn. Pure; each operation takes
/// constant time.
struct WaitingLine<Element> {
    /// A place in the queue.
    typealias Ticket = UInt64

    private var elements: [Ticket: Element] = [:]
    private var nextToCome: Ticket = 0
    /// No element with a lower number waits.
    private var nextToGo: Ticket = 0

    var isEmpty: Bool { elements.isEmpty }

    mutating func append(_ element: Element) -> Ticket {
        defer { nextToCome += 1 }
        elements[nextToCome] = element
        return nextToCome
    }

    /// Does nothing for an element that waits no more.
    mutating func remove(_ ticket: Ticket) { elements[ticket] = nil }

    mutating func popFirst() -> Element? {
        while nextToGo < nextToCome {
            defer { nextToGo += 1 }
            if let element = elements.removeValue(forKey: nextToGo) { return element }
        }
        return nil
    }
}
