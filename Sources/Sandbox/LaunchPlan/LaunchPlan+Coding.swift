internal import SeccompFilter

/// The encoding of a plan: a fixed order of fields, integers little-endian, a count before every list and a length
/// before every string. Agent and launcher are installed together, so another version is an error.
extension LaunchPlan {
    /// "hlplan03": the format and the version of this layout.
    private static let magic: UInt64 = 0x3330_6e61_6c70_6c68

    /// The plan as bytes. Throws when it breaks a bound of `LaunchPlan.Bounds` or contradicts its tier.
    /// - Parameter anyLayers: for measuring what each layer stops; `hearth-sandbox` refuses such a plan.
    package func encoded(anyLayers: Bool = false) throws(RecordError) -> [UInt8] {
        try validate(anyLayers: anyLayers)
        var writer = RecordWriter()
        writer.integer(LaunchPlan.magic)
        writer.strings(arguments)
        writer.strings(environment)
        writer.string(tier.rawValue)
        writer.integer(layers.rawValue)
        writer.integer(UInt32(binds.count))
        for bind in binds {
            writer.string(bind.source)
            writer.string(bind.root)
            writer.string(bind.within)
            writer.string(bind.target)
            writer.integer(UInt32(bind.allowsExecution ? 1 : 0))
        }
        writer.strings(devices)
        writer.strings(links.flatMap { [$0.name, $0.target] })
        writer.integer(temporaryBytes)
        writer.integer(UInt32(limits.count))
        for limit in limits {
            writer.integer(limit.resource.rawValue)
            writer.integer(limit.value)
        }
        writer.bytes(filter)
        writer.integer(userID)
        writer.integer(groupID)
        writer.integer(UInt32(tellingArguments.count))
        for telling in tellingArguments {
            writer.integer(telling.call)
            writer.integer(telling.mask)
        }
        writer.integer(handedOnCount)
        return writer.output
    }

    /// Reads what `encoded()` wrote. Throws on anything else, without reading past the end.
    package init(decoding bytes: [UInt8], anyLayers: Bool = false) throws(RecordError) {
        guard bytes.count <= LaunchPlan.Bounds.planBytesMax else {
            throw RecordError("the plan has \(bytes.count) bytes; at most \(LaunchPlan.Bounds.planBytesMax)")
        }
        var reader = RecordReader(input: bytes)
        guard try reader.integer(UInt64.self, "magic") == LaunchPlan.magic else {
            throw RecordError("not a launch plan of this version; install hearth and hearth-sandbox together")
        }
        let arguments = try reader.strings("arguments")
        let environment = try reader.strings("environment")
        let tierName = try reader.string("tier")
        guard let tier = SandboxTier(rawValue: tierName) else { throw RecordError("unknown tier '\(tierName)'") }
        self.init(arguments: arguments, tier: tier, filter: [])
        self.environment = environment
        layers = SandboxLayers(rawValue: try reader.integer(UInt32.self, "layers"))
        for _ in 0..<(try reader.count("binds")) {
            let source = try reader.string("bind source")
            let root = try reader.string("bind root")
            let within = try reader.string("bind within")
            let target = try reader.string("bind target")
            let flag = try reader.integer(UInt32.self, "bind flags")
            guard flag <= 1 else { throw RecordError("bind \(target) has unknown flags") }
            binds.append(
                ReadOnlyBind(
                    source: source, root: root, within: within, target: target, allowsExecution: flag == 1))
        }
        devices = try reader.strings("devices")
        let links = try reader.strings("links")
        guard links.count.isMultiple(of: 2) else { throw RecordError("links: half of one") }
        for index in stride(from: 0, to: links.count, by: 2) {
            self.links.append(RootLink(name: links[index], target: links[index + 1]))
        }
        temporaryBytes = try reader.integer(UInt64.self, "temporary bytes")
        for _ in 0..<(try reader.count("limits")) {
            let number = try reader.integer(UInt32.self, "limit")
            guard let resource = ResourceLimit.Resource(rawValue: number) else {
                throw RecordError("unknown resource limit \(number)")
            }
            limits.append(ResourceLimit(resource, try reader.integer(UInt64.self, "limit value")))
        }
        filter = try reader.bytes("filter", max: FilterProgram.byteCountMax)
        userID = try reader.integer(UInt32.self, "user id")
        groupID = try reader.integer(UInt32.self, "group id")
        for _ in 0..<(try reader.count("telling arguments")) {
            let call = try reader.integer(UInt32.self, "telling call")
            tellingArguments.append(TellingArguments(call: call, mask: try reader.integer(UInt8.self, "telling mask")))
        }
        handedOnCount = try reader.integer(UInt32.self, "handed-on count")
        guard reader.isAtEnd else { throw RecordError("bytes follow the plan") }
        try validate(anyLayers: anyLayers)
    }
}
