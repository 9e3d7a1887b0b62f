/// A limit, declared once: the property that it wraps gives its name, its default and the value in force.
///
///     @Limit("A received message; a longer one ends its call RESOURCE_EXHAUSTED.", counted: true)
///     package var messageBytesMax = 4 << 20
///
/// The name ends with its unit, or with Max for a number of things: "headersMilliseconds". The declaration is stored
/// beside the value, so a group of limits should be held once by its owner, and not by each connection or call.
@propertyWrapper
package struct Limit<Value: FixedWidthInteger & Sendable>: Sendable {
    package var wrappedValue: Value
    /// What it bounds, and what happens when it is met, in a line.
    package let meaning: StaticString
    /// Whether the agent counts how often it was met; other limits only pace or delay.
    package let isCounted: Bool

    @inlinable package init(wrappedValue: Value, _ meaning: StaticString, counted: Bool = false) {
        self.wrappedValue = wrappedValue
        self.meaning = meaning
        isCounted = counted
    }
}

/// The limits of one part of Hearth: a struct whose every stored property is a `Limit`, or a group itself.
package protocol LimitGroup: Sendable {}

extension LimitGroup {
    /// Every limit with its name and the value in force, in the order of declaration.
    package var named: [NamedLimit] {
        Mirror(reflecting: self).children.flatMap { child in
            if let group = child.value as? any LimitGroup { return group.named }
            guard let label = child.label, let limit = child.value as? any AnyLimit else { return [] }
            // The storage of a wrapped property has the property's name behind an underscore.
            return [limit.named(String(label.dropFirst()))]
        }
    }
}

/// A `Limit` of any integer type.
private protocol AnyLimit {
    func named(_ name: String) -> NamedLimit
}

extension Limit: AnyLimit {
    fileprivate func named(_ name: String) -> NamedLimit {
        NamedLimit(name, wrappedValue, counted: isCounted, meaning.description)
    }
}
