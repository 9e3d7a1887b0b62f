/// The files of a model that llama-gguf-split has cut into parts: NAME-00001-of-00003.gguf and so on. Names decide;
/// no file is looked at.
package struct ModelParts: Hashable, Sendable {
    /// A model in more parts is not served: each is an open file of the agent and of the backend.
    package static let countMax = 128

    /// The path before the number.
    package let stem: String
    package let count: Int
    /// What follows the count, with its dot.
    package let ending: String

    /// The model that a file is a part of, and the part's number, as its path says; nil for a whole model. The number
    /// of a mistaken name may be 0 or above `count`.
    package static func part(at path: String) -> (model: ModelParts, number: Int)? {
        guard let name = path.wholeMatch(of: /(.+)-([0-9]{5})-of-([0-9]{5})(\.[^.\/]+)/),
            let number = Int(name.2), let count = Int(name.3), count > 1
        else { return nil }
        return (ModelParts(stem: String(name.1), count: count, ending: String(name.4)), number)
    }

    /// The path of a part, from 1 to `count`.
    package func path(of number: Int) -> String {
        "\(stem)-\(Self.digits(number))-of-\(Self.digits(count))\(ending)"
    }

    /// All files of the model whose file, or one of whose parts, has this path; in order.
    package static func paths(ofModelAt path: String) -> [String] {
        guard let model = part(at: path)?.model, model.count <= countMax else { return [path] }
        return (1...model.count).map(model.path)
    }

    /// The path that a model is known by: that of its first part where it has several.
    package static func firstPath(ofModelAt path: String) -> String { part(at: path)?.model.path(of: 1) ?? path }

    /// The path of a model without the numbers of its part and without its ending: "NAME" of "NAME.gguf" and of
    /// "NAME-00001-of-00003.gguf". With ".json" behind it, it is that of the model's settings.
    package static func stem(ofModelAt path: String) -> String {
        if let name = path.wholeMatch(of: /(.+)-[0-9]{5}-of-[0-9]{5}\.[^.\/]+/) { return String(name.1) }
        guard let dot = path.lastIndex(of: "."), !path[dot...].contains("/") else { return path }
        return String(path[..<dot])
    }

    private static func digits(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
}
