internal import BaseEncodings
package import ModelPull
internal import StrictJSON

/// A blob that a manifest names (OCI image specification, descriptor.md).
package struct BlobDescriptor: Equatable, Sendable {
    package let mediaType: String
    /// SHA-256, 32 bytes.
    package let digest: [UInt8]
    /// Bytes.
    package let size: UInt64
    package let annotations: [String: String]

    /// The name that its publisher gave the file; nil: none.
    var fileName: String? { annotations["org.cncf.model.filepath"] ?? annotations["org.opencontainers.image.title"] }

    var digestText: String { "sha256:\(hexadecimal(digest))" }
}

/// What a registry answers when it is asked for an image: an OCI image manifest or index, or Docker's of schema 2.
package enum ImageManifest: Equatable, Sendable {
    /// The layers, in their order.
    case image(layers: [BlobDescriptor])
    /// The manifest of the image for this machine, of those that an index lists.
    case index(BlobDescriptor)

    /// The longest manifest that is read, in bytes.
    package static let bytesMax = 4 << 20
    private static let entriesMax = 1_024
    private static let sizeMax: UInt64 = 1 << 46

    package static let mediaTypes = [
        "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
    ]

    /// Reads a manifest. `architecture`: this machine's, by the name that images have for it.
    package static func parse(_ json: [UInt8], architecture: String) throws(PullFailure) -> ImageManifest {
        let place = "the image's manifest"
        do throws(JSONError) {
            guard json.count <= bytesMax else { throw JSONError(file: place, "is longer than \(bytesMax >> 20) MiB") }
            let node = try JSONNode.parse(json, file: place)
            guard case .object(let members) = node.value else { throw JSONError(file: place, "is no object") }
            guard members.contains(where: { $0.key == "schemaVersion" && $0.node.value == .number("2") }) else {
                throw JSONError(
                    file: place,
                    "is none of schema 2, which alone has digests of its layers; its publisher has to push it anew")
            }
            if let layers = members.first(where: { $0.key == "layers" }) {
                return .image(layers: try descriptors(layers.node, place).map(\.blob))
            }
            guard let manifests = members.first(where: { $0.key == "manifests" }) else {
                throw JSONError(file: place, "lists neither layers nor manifests")
            }
            let listed = try descriptors(manifests.node, place)
            let known = listed.filter { mediaTypes.prefix(2).contains($0.blob.mediaType) }
            let chosen =
                known.first { $0.platform == "linux/\(architecture)" } ?? known.first { $0.platform == nil }
                ?? known.first
            guard let chosen else { throw JSONError(file: place, "lists no image") }
            return .index(chosen.blob)
        } catch {
            throw PullFailure(.refused, error.description)
        }
    }

    private static func descriptors(
        _ node: JSONNode, _ place: String
    ) throws(JSONError) -> [(blob: BlobDescriptor, platform: String?)] {
        guard case .array(let elements) = node.value, elements.count <= entriesMax else {
            throw JSONError(
                file: place, line: node.line, "its layers or manifests are no list of at most \(entriesMax)")
        }
        var descriptors: [(blob: BlobDescriptor, platform: String?)] = []
        for element in elements { descriptors.append(try descriptor(element, place)) }
        return descriptors
    }

    private static func descriptor(
        _ node: JSONNode, _ place: String
    ) throws(JSONError) -> (blob: BlobDescriptor, platform: String?) {
        guard case .object(let members) = node.value else {
            throw JSONError(file: place, line: node.line, "a descriptor is no object")
        }
        func member(_ key: String) -> JSONNode.Value? { members.first { $0.key == key }?.node.value }
        guard case .string(let type) = member("mediaType"), case .string(let digest) = member("digest"),
            case .number(let number) = member("size"), let size = UInt64(number), size <= sizeMax
        else { throw JSONError(file: place, line: node.line, "a descriptor lacks its mediaType, digest or size") }
        guard digest.hasPrefix("sha256:"), let bytes = fromHexadecimal(digest.dropFirst(7).utf8), bytes.count == 32
        else {
            throw JSONError(file: place, line: node.line, "the digest '\(digest.prefix(80))' is no sha256")
        }
        let blob = BlobDescriptor(
            mediaType: type, digest: bytes, size: size, annotations: texts(member("annotations")))
        let platform = texts(member("platform"))
        guard let system = platform["os"], let architecture = platform["architecture"] else { return (blob, nil) }
        return (blob, "\(system)/\(architecture)")
    }

    /// The members of an object that are strings.
    private static func texts(_ value: JSONNode.Value?) -> [String: String] {
        guard case .object(let members)? = value else { return [:] }
        var texts: [String: String] = [:]
        for member in members {
            if case .string(let text) = member.node.value { texts[member.key] = text }
        }
        return texts
    }
}

/// What an image's layers are to Hearth.
package struct ModelLayers: Equatable, Sendable {
    /// The weights: one file, or the parts of one in their order. Never empty.
    package var weights: [BlobDescriptor] = []
    package var licences: [BlobDescriptor] = []
    /// What is not taken, in words.
    package var leftOut: [String] = []

    /// Throws for an image without weights that can be served, naming what there is.
    package init(_ layers: [BlobDescriptor], of image: String) throws(PullFailure) {
        for layer in layers {
            switch Self.role(of: layer) {
            case .weights: weights.append(layer)
            case .licence: licences.append(layer)
            case .leftOut(let words): if !leftOut.contains(words) { leftOut.append(words) }
            }
        }
        guard !weights.isEmpty else {
            let there = leftOut.isEmpty ? "nothing" : leftOut.prefix(8).joined(separator: ", ")
            throw PullFailure(
                .refused, "\(image) has no weights in GGUF, which the backends serve; it has \(there)")
        }
        guard Set(weights.map(\.digest)).count == weights.count, weights.allSatisfy({ $0.size > 0 }) else {
            throw PullFailure(.refused, "\(image) lists the same weights twice, or empty ones")
        }
        // Publishers list the parts in any order, and name them as llama.cpp does.
        let numbers = weights.map { Self.number(ofPart: $0.fileName ?? "") }
        if Set(numbers) == Set(1...weights.count) { weights = zip(numbers, weights).sorted { $0.0 < $1.0 }.map(\.1) }
    }

    private enum Role {
        case weights, licence
        case leftOut(String)
    }

    private static func role(of layer: BlobDescriptor) -> Role {
        let isNamedGGUF = layer.fileName?.lowercased().hasSuffix(".gguf") == true
        switch layer.mediaType {
        case "application/vnd.docker.ai.gguf.v3", "application/vnd.ollama.image.model": return .weights
        case "application/vnd.cncf.model.weight.v1.raw": return isNamedGGUF ? .weights : .leftOut(described(layer))
        case "application/vnd.docker.ai.license", "application/vnd.ollama.image.license": return .licence
        case "application/vnd.cncf.model.doc.v1.raw"
        where layer.fileName?.split(separator: "/").last?.lowercased().hasPrefix("license") == true:
            return .licence
        case "application/vnd.ollama.image.template": return .leftOut("a chat template in Go's language")
        case "application/vnd.docker.ai.chat.template.jinja": return .leftOut("a chat template beside the weights")
        case "application/vnd.ollama.image.params": return .leftOut("parameters")
        case "application/vnd.ollama.image.system": return .leftOut("a system prompt")
        case "application/vnd.ollama.image.messages": return .leftOut("messages")
        case "application/vnd.ollama.image.adapter", "application/vnd.docker.ai.gguf.lora":
            return .leftOut("an adapter")
        case "application/vnd.ollama.image.projector", "application/vnd.docker.ai.mmproj":
            return .leftOut("a projector for images")
        default:
            // As other tools push a file: of any type, with its name.
            let isPacked =
                layer.mediaType.hasSuffix("gzip") || layer.mediaType.hasSuffix("zstd")
                || layer.mediaType.contains(".tar")
            return isNamedGGUF && !isPacked ? .weights : .leftOut(described(layer))
        }
    }

    private static func described(_ layer: BlobDescriptor) -> String {
        let name = layer.fileName.map { " (\($0.prefix(80)))" } ?? ""
        return "a layer \(layer.mediaType.prefix(80))\(name)"
    }

    /// The number in "name-00002-of-00003.gguf"; 0: there is none.
    private static func number(ofPart name: String) -> Int {
        guard let match = name.firstMatch(of: /-([0-9]{5})-of-[0-9]{5}\.[^.]*$/) else { return 0 }
        return Int(match.1) ?? 0
    }
}
