/// First in, first out. Pure; bounded by what its users put in.
package struct Queue<Element> {
    private var elements: [Element?] = []
    private var head = 0

    package init() {}

    package var count: Int { elements.count - head }
    package var isEmpty: Bool { head == elements.count }

    package mutating func append(_ element: Element) { elements.append(element) }

    package mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        // The only element, as at the end of most turns: replacing a range would cost ten times as much.
        if elements.count == 1 { return elements.removeLast() }
        let first = elements[head]
        elements[head] = nil
        head += 1
        // The places of removed elements are freed once they are half of all.
        if head == elements.count {
            elements.removeAll(keepingCapacity: head <= 1_024)
            head = 0
        } else if head >= 1_024, head * 2 >= elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return first
    }
}
