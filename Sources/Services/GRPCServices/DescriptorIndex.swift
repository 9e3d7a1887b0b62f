internal import SwiftProtobuf

/// The files that declare some services, the details of statuses, and their imports, by the names that they declare.
/// Pure.
struct DescriptorIndex {
    /// The files of messages that a status may hold as a `google.protobuf.Any`, which no service's own file imports.
    private static let details = ["google/rpc/status.proto", "google/rpc/error_details.proto"]

    private var files: [String: Google_Protobuf_FileDescriptorProto] = [:]
    private var fileOfSymbol: [String: String] = [:]

    /// Keeps the files that are needed to call these services and to read their errors.
    init(_ all: Google_Protobuf_FileDescriptorSet, services: some Sequence<String>) {
        let byName = Dictionary(all.file.map { ($0.name, $0) }) { first, _ in first }
        let wanted = Set(services)
        var open = all.file.filter { file in file.service.contains { wanted.contains(file.qualified($0.name)) } }
        open += Self.details.compactMap { byName[$0] }
        while let file = open.popLast() {
            guard files.updateValue(file, forKey: file.name) == nil else { continue }
            for symbol in file.symbols { fileOfSymbol[symbol] = file.name }
            open += file.dependency.compactMap { byName[$0] }
        }
    }

    /// A file, followed by everything that it imports, also indirectly; nil: there is no such file.
    func closure(ofFile name: String) -> [Google_Protobuf_FileDescriptorProto]? {
        guard let file = files[name] else { return nil }
        var found = [file]
        var names: Set = [name]
        var next = 0
        while next < found.count {
            for dependency in found[next].dependency where names.insert(dependency).inserted {
                if let file = files[dependency] { found.append(file) }
            }
            next += 1
        }
        return found
    }

    /// The file that declares this full name, with or without a dot before it.
    func file(of symbol: String) -> String? {
        fileOfSymbol[symbol.hasPrefix(".") ? String(symbol.dropFirst()) : symbol]
    }

    /// Whether a message with this name is declared.
    func hasMessage(_ name: String) -> Bool {
        guard let file = file(of: name).flatMap({ files[$0] }) else { return false }
        return file.messages.contains(name.hasPrefix(".") ? String(name.dropFirst()) : name)
    }
}

extension Google_Protobuf_FileDescriptorProto {
    fileprivate func qualified(_ name: String) -> String { package.isEmpty ? name : "\(package).\(name)" }

    /// The full name of everything that it declares.
    fileprivate var symbols: [String] {
        var found: [String] = []
        for service in service {
            let name = qualified(service.name)
            found.append(name)
            found += service.method.map { "\(name).\($0.name)" }
        }
        for message in messageType { message.collect(into: &found, as: qualified(message.name), withMembers: true) }
        for type in enumType { type.collect(into: &found, in: package) }
        found += `extension`.map { qualified($0.name) }
        return found
    }

    /// The full name of every message.
    fileprivate var messages: [String] {
        var found: [String] = []
        for message in messageType { message.collect(into: &found, as: qualified(message.name), withMembers: false) }
        return found
    }
}

extension Google_Protobuf_DescriptorProto {
    fileprivate func collect(into found: inout [String], as name: String, withMembers: Bool) {
        found.append(name)
        if withMembers {
            found += (field + `extension`).map { "\(name).\($0.name)" }
            found += oneofDecl.map { "\(name).\($0.name)" }
            for type in enumType { type.collect(into: &found, in: name) }
        }
        for message in nestedType {
            message.collect(into: &found, as: "\(name).\(message.name)", withMembers: withMembers)
        }
    }
}

extension Google_Protobuf_EnumDescriptorProto {
    /// An enum's values are named beside it, not below it (descriptor.proto, `EnumValueDescriptorProto`).
    fileprivate func collect(into found: inout [String], in scope: String) {
        let prefix = scope.isEmpty ? "" : "\(scope)."
        found.append(prefix + name)
        found += value.map { prefix + $0.name }
    }
}
