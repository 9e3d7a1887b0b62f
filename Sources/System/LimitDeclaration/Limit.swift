/// A limit, declared once: the property that it wraps gives its name, its default and what is in force.
///
///     @Limit("A message that is received; a longer one ends its call RESOURCE_EXHAUSTED.", counted: true)
///     package var messageBytesMax = 4 << 20
///
/// The name ends with its unit, or with Max for a number of things: "headersMilliseconds". What a limit is declared with lies
/// beside its value, so a group of them is held once by whoever sets it, and not by each connection or call.
@propertyWrapper
package struct Limit<Value: FixedWidthInteger & Sendable>: Sendable {
    package var wrappedValue: Value
    /// What it bounds, and what happens at it, in a line.
    package let meaning: StaticString
    /// Whether the times that it was met are counted; others only pace or delay.
    package let isCounted: Bool

    @inlinable package init(wrappedValue: Value, _ meaning: StaticString, counted: Bool = false) {
        self.wrappedValue = wrappedValue
        self.meaning = meaning
        isCounted = counted
    }
}

/// What bounds one part of Hearth: a struct whose every stored property is a `Limit`, or a group itself.
package protocol LimitGroup: Sendable {}

extension LimitGroup {
    /// Every limit with its name and what is in force, as they are declared, one after the other.
    package var named: [NamedLimit] {
        Mirror(reflecting: self).children.flatMap { child in
            if let group = child.value as? any LimitGroup { return group.named }
            guard let label = child.label, let limit = child.value as? any AnyLimit else { return [] }
            // The storage of a wrapped property is called as the property is, behind an underscore.
            return [limit.named(String(label.dropFirst()))]
        }
    }
}

/// A `Limit` of whatever integer.
private protocol AnyLimit {
    func named(_ name: String) -> NamedLimit
}

extension Limit: AnyLimit {
    fileprivate func named(_ name: String) -> NamedLimit {
        NamedLimit(name, wrappedValue, counted: isCounted, meaning.description)
    }
}
