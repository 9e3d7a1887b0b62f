internal import BaseEncodings
internal import Cryptography
internal import Glibc
internal import LinuxSystem
internal import ModelNaming
package import ModelPull
internal import StrictJSON

/// Brings a model into a folder of models. Used by one thread.
package final class ModelPulling {
    private let request: PullRequest
    private let source: PullSource
    private let name: PulledName
    private let http: HTTPClient
    private let store: CredentialStore
    private let report: (PullEvent) -> Void

    private static let licenceBytesMax = 1 << 20
    private static let partsMax = 256

    /// Throws for a request that cannot be understood. `report` gets every event but the last; `whileWaiting` is called several
    /// times a second while nothing may come.
    package init(
        _ request: PullRequest, environment: [String: String], report: @escaping (PullEvent) -> Void,
        whileWaiting: @escaping () -> Void
    ) throws(PullFailure) {
        self.request = request
        source = try PullSource.parse(request.source, sha256: request.sha256)
        name = try PulledName(of: source, as: request.id)
        http = HTTPClient(environment: environment, whileWaiting: whileWaiting)
        store = CredentialStore(environment: environment)
        self.report = report
    }

    /// Returns the last event once the model is in its place.
    package func run() throws(PullFailure) -> PullEvent {
        do {
            switch source {
            case .image(let image): return try pull(image)
            case .address(let address, let digest): return try pull(address, digest)
            case .file(let path, let digest): return try copy(path, digest)
            }
        } catch let failure as PullFailure {
            throw failure
        } catch let failure as TransferFailure {
            throw PullFailure(
                failure.isTransient ? .temporary : .refused,
                failure.description
                    + (failure.isUnreachable
                        ? "; see whether the name is right and the network is there"
                        : failure.isTransient ? "; run the same command again later" : ""))
        } catch {
            throw PullFailure(.refused, "\(error)")
        }
    }
}

// From a registry.
extension ModelPulling {
    private func pull(_ image: ImageReference) throws -> PullEvent {
        report(PullEvent(.resolving, image.description))
        let registry = RegistryClient(image, http: http, store: store)
        let layers = try ModelLayers(try layers(of: image, registry), of: image.description)
        guard layers.weights.count <= Self.partsMax else {
            throw PullFailure(
                .refused, "\(image) has \(layers.weights.count) files of weights; at most \(Self.partsMax)")
        }
        let folder = try PullFolder(request.folder)
        let licence = try tellLicence(layers, registry)
        if !layers.leftOut.isEmpty {
            report(PullEvent(.note, "Left out: \(layers.leftOut.prefix(8).joined(separator: ", "))."))
        }
        let total = layers.weights.reduce(0) { $0 + $1.size }
        report(PullEvent(.found, name.file, total: total))
        let count = layers.weights.count
        let files = layers.weights.indices.map { count == 1 ? name.file : name.part($0 + 1, of: count) }
        var parts: [(file: String, part: PartFile, download: BlobDownload)] = []
        var before: UInt64 = 0
        for (file, weights) in zip(files, layers.weights) {
            let start = before
            before += weights.size
            if try isThere(file, size: weights.size, digest: weights.digest, in: folder) { continue }
            let part = try PartFile("sha256-\(hexadecimal(weights.digest))", in: folder)
            let download = try BlobDownload(
                digest: weights.digest, size: weights.size, name: file, part: part, folder: folder,
                report: { [report] event in
                    var event = event
                    if event.kind == .downloading {
                        event.done += start
                        event.total = total
                    }
                    report(event)
                },
                ask: { range, receive in try registry.stream(weights.digestText, range: range, receive) })
            parts.append((file, part, download))
        }
        try folder.demandRoom(parts.reduce(0) { $0 + ($1.download.missingBytes ?? 0) }, for: name.file)
        for part in parts { try part.download.run() }
        return try finish(parts.map { ($0.file, $0.part) }, licence: licence, in: folder)
    }

    private func layers(of image: ImageReference, _ registry: RegistryClient) throws -> [BlobDescriptor] {
        #if arch(arm64)
            let architecture = "arm64"
        #else
            let architecture = "amd64"
        #endif
        switch try ImageManifest.parse(try registry.manifest(image.selector), architecture: architecture) {
        case .image(let layers): return layers
        case .index(let chosen):
            let bytes = try registry.manifest(chosen.digestText)
            guard case .image(let layers) = try ImageManifest.parse(bytes, architecture: architecture) else {
                throw PullFailure(.refused, "\(image) is an index of indexes, which no registry should have")
            }
            return layers
        }
    }

    /// Shows the licences' first lines before anything large is fetched, and returns their texts.
    private func tellLicence(_ layers: ModelLayers, _ registry: RegistryClient) throws -> String? {
        var texts: [String] = []
        for licence in layers.licences.prefix(4) {
            guard licence.size <= Self.licenceBytesMax else {
                report(PullEvent(.note, "A licence of \(ByteCount.text(licence.size)) is not fetched."))
                continue
            }
            let text = String(decoding: try registry.blob(licence, bytesMax: Self.licenceBytesMax), as: UTF8.self)
            texts.append(text)
            let lines = text.split(whereSeparator: \.isNewline).map {
                String($0.drop(while: \.isWhitespace).prefix(200))
            }
            report(PullEvent(.licence, lines.filter { !$0.isEmpty }.prefix(3).joined(separator: "\n")))
        }
        return texts.isEmpty ? nil : texts.joined(separator: "\n\n")
    }
}

// From an address, and from this machine.
extension ModelPulling {
    private func pull(_ address: String, _ digest: [UInt8]) throws -> PullEvent {
        report(PullEvent(.resolving, address))
        let folder = try PullFolder(request.folder)
        if try isThere(name.file, size: nil, digest: digest, in: folder) {
            return try finish([], licence: nil, in: folder)
        }
        report(PullEvent(.found, name.file))
        let part = try PartFile("sha256-\(hexadecimal(digest))", in: folder)
        let http = http
        let download = try BlobDownload(
            digest: digest, size: nil, name: name.file, part: part, folder: folder, report: report,
            ask: { range, receive in
                let request = HTTPRequest(url: address, authorization: .netrc, range: range)
                let (head, _) = try http.stream(request, receive)
                switch head.status {
                case 200, 206, 416: return head
                case 401, 403:
                    throw PullFailure(
                        .refused,
                        "\(address) is not for everybody (status \(head.status)): put what its host asks for into ~/.netrc"
                    )
                case 404, 410: throw PullFailure(.refused, "there is nothing at \(address) (status \(head.status))")
                default: throw HTTPAnswer.failure(head, "status \(head.status) for \(address)")
                }
            })
        try download.run()
        return try finish([(name.file, part)], licence: nil, in: folder)
    }

    /// Copies a file of this machine, and reads the copy back.
    private func copy(_ path: String, _ digest: [UInt8]?) throws -> PullEvent {
        let original = try Descriptor.open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK)
        let facts = try FileFacts(of: original, name: path)
        guard facts.kind == .regular else {
            throw PullFailure(.refused, "\(path) is no file; name the model's file in it")
        }
        let folder = try PullFolder(request.folder)
        report(PullEvent(.found, name.file, total: facts.byteCount))
        let read = try FileReading.digest(of: original, byteCount: facts.byteCount) {
            report(PullEvent(.verifying, done: $0, total: $1))
        }
        guard digest == nil || digest == read else {
            throw PullFailure(
                .refused, "\(path) has the digest sha256:\(hexadecimal(read)), not the one that --sha256 names")
        }
        if try isThere(name.file, size: facts.byteCount, digest: read, in: folder) {
            return try finish([], licence: nil, in: folder)
        }
        let part = try PartFile("sha256-\(hexadecimal(read))", in: folder)
        try folder.demandRoom(facts.byteCount, for: name.file)
        try part.forgetAll()
        var done: UInt64 = 0
        try FileReading.read(original, from: 0, count: facts.byteCount) { bytes in
            try part.write(bytes, at: done)
            done += UInt64(bytes.count)
            report(PullEvent(.downloading, done: done, total: facts.byteCount))
        }
        try part.forgetCache()
        let copied = try FileReading.digest(of: part.file, byteCount: facts.byteCount) {
            report(PullEvent(.verifying, done: $0, total: $1))
        }
        guard copied == read else {
            part.remove()
            throw PullFailure(
                .refused, "\(path) was changed while it was copied, or the disk is damaged; nothing is kept")
        }
        return try finish([(name.file, part)], licence: nil, in: folder)
    }
}

// Into its place.
extension ModelPulling {
    /// Whether a file of this name has these contents; throws if it has others.
    private func isThere(_ file: String, size: UInt64?, digest: [UInt8], in folder: PullFolder) throws -> Bool {
        let found = try folder.digest(of: file, ofSize: size) { report(PullEvent(.verifying, done: $0, total: $1)) }
        guard let found else { return false }
        guard found == digest else { throw PullFolder.clash(folder.path, file) }
        return true
    }

    /// Gives the parts their names, the first part of several last, because a model is looked for by it.
    private func finish(
        _ parts: [(file: String, part: PartFile)], licence: String?, in folder: PullFolder
    ) throws -> PullEvent {
        let stem = "\(folder.path)/\(name.stem)"
        if name.needsSettings { try writeSettings(stem + ".json", folder) }
        if let licence {
            try? FileBytes.replace(
                stem + ".license.txt", with: Array(licence.utf8), mode: 0o644, owner: folder.owner, overwriting: false)
        }
        if parts.isEmpty { report(PullEvent(.note, "\(name.file) was here already, and is what it should be.")) }
        for (file, part) in parts.reversed() { try folder.place(part, as: file) }
        var event = PullEvent(.done)
        event.model = name.id
        event.name = shortestName(in: folder)
        return event
    }

    private func writeSettings(_ path: String, _ folder: PullFolder) throws {
        let text = JSONNode.emptyObject.setting("id", to: name.id).text
        do throws(LinuxError) {
            try FileBytes.replace(path, with: Array(text.utf8), mode: 0o644, owner: folder.owner, overwriting: false)
        } catch {
            guard error.code == EEXIST else { throw PullFailure(.refused, "\(error)") }
            guard (try? FileBytes.read(path, max: 1 << 20)).map({ $0 == Array(text.utf8) }) == true else {
                throw PullFailure(
                    .refused,
                    "\(path) is there already with other settings: write \"id\": \"\(name.id)\" into it, or remove it")
            }
        }
    }

    /// The model's name without the quantisation, if no other model in the folder has it.
    private func shortestName(in folder: PullFolder) -> String {
        let own = ModelName(stem: name.stem)
        guard own.id == name.id, own.quantisation != nil,
            let files = try? FolderNames.names(inFolder: folder.path, limit: 10_000)
        else { return name.id }
        let ids = files.filter { !$0.hasPrefix(".") }.compactMap { file -> String? in
            guard let dot = file.lastIndex(of: "."), file[dot...] == ".\(name.ending)" else { return nil }
            let other = ModelName(stem: String(file[..<dot]))
            return other.name == own.name ? other.id : nil
        }
        return Set(ids).count <= 1 ? own.name : name.id
    }
}
