extension Setting {
    /// Whether two configurations have different values of it.
    func differs(_ one: HostConfiguration, _ other: HostConfiguration) -> Bool {
        switch kind {
        case .toggle(let path): one[keyPath: path] != other[keyPath: path]
        case .choice(_, let path): one[keyPath: path] != other[keyPath: path]
        case .seconds(let path): one[keyPath: path] != other[keyPath: path]
        case .fraction(let path): one[keyPath: path] != other[keyPath: path]
        case .size(let path): one[keyPath: path] != other[keyPath: path]
        case .text(_, _, let path): one[keyPath: path] != other[keyPath: path]
        case .texts(_, _, let path): one[keyPath: path] != other[keyPath: path]
        case .addresses: one.listen != other.listen
        }
    }

    /// Gives it the value that another configuration has.
    func copy(from source: HostConfiguration, to target: inout HostConfiguration) {
        switch kind {
        case .toggle(let path): target[keyPath: path] = source[keyPath: path]
        case .choice(_, let path): target[keyPath: path] = source[keyPath: path]
        case .seconds(let path): target[keyPath: path] = source[keyPath: path]
        case .fraction(let path): target[keyPath: path] = source[keyPath: path]
        case .size(let path): target[keyPath: path] = source[keyPath: path]
        case .text(_, _, let path): target[keyPath: path] = source[keyPath: path]
        case .texts(_, _, let path): target[keyPath: path] = source[keyPath: path]
        case .addresses: target.listen = source.listen
        }
    }
}
