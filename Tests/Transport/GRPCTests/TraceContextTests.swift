import GRPC
import Testing

/// The cases of https://www.w3.org/TR/trace-context/, with its own examples.
@Suite
struct TraceContextTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    private func context(_ parent: String, _ states: String...) -> TraceContext? {
        TraceContext(parents: [parent], states: states)
    }

    @Test("A parent is read and written as it came")
    func valid() throws {
        let context = try #require(self.context(Self.parent))
        #expect(context.traceID.count == 16 && context.traceID.first == 0x0a && context.traceID.last == 0x9c)
        #expect(context.spanID == [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31])
        #expect(context.isSampled)
        #expect(context.parent == Self.parent)
        #expect(context.fields.map(\.name) == ["traceparent"])
    }

    @Test(
        "Of the flags only those that are known are passed on",
        arguments: [("00", false, "00"), ("01", true, "01"), ("02", false, "02"), ("ff", true, "03")])
    func flags(_ flags: String, _ isSampled: Bool, _ passedOn: String) throws {
        let context = try #require(self.context(String(Self.parent.dropLast(2)) + flags))
        #expect(context.isSampled == isSampled)
        #expect(context.parent.hasSuffix("-" + passedOn))
    }

    @Test("A later version is read as this one, whatever follows behind a dash, and passed on as this one")
    func laterVersion() {
        let later = "cc" + Self.parent.dropFirst(2)
        #expect(context(later)?.parent == Self.parent)
        #expect(context(later + "-what-the-future-will-be-like")?.parent == Self.parent)
        #expect(context(later + ".what-the-future-will-be-like") == nil)
        #expect(context(later + "x") == nil)
    }

    @Test(
        "What is no parent is ignored",
        arguments: [
            "", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-B7AD6B7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c8031-9cb7ad6b7169203331-01",
        ])
    func invalid(_ text: String) {
        #expect(context(text, "rojo=1") == nil)
    }

    @Test("Without a parent, or with two, there is none")
    func number() {
        #expect(TraceContext(parents: [], states: ["rojo=1"]) == nil)
        #expect(TraceContext(parents: [Self.parent, Self.parent], states: []) == nil)
    }

    @Test(
        "The vendors' entries are passed on in their order, from all fields, without blanks around them",
        arguments: [
            (["rojo=00f067aa0ba902b7"], "rojo=00f067aa0ba902b7"),
            (["rojo=1,congo=t61rcWkgMzE"], "rojo=1,congo=t61rcWkgMzE"), (["a=1", "b=2"], "a=1,b=2"),
            ([" a=1 ,\tb=2 ", ""], "a=1,b=2"), (["a=1,,b=2,"], "a=1,b=2"),
            (["fw529a3039@dt=FfAAAA,0tenant@x=1"], "fw529a3039@dt=FfAAAA,0tenant@x=1"),
            (["a_-*/z=~ !x"], "a_-*/z=~ !x"), ([], ""),
        ])
    func state(_ fields: [String], _ passedOn: String) {
        let context = TraceContext(parents: [Self.parent], states: fields)
        #expect(context?.state == passedOn)
        #expect(context?.fields.map(\.name) == (passedOn.isEmpty ? ["traceparent"] : ["traceparent", "tracestate"]))
    }

    @Test(
        "Entries that cannot be read are left out, all of them, and the parent stays",
        arguments: [
            "a", "=1", "a=", "A=1", "0a=1", "a b=1", "a=1=2", "a=\u{7f}", "a=1,a=2", "a@=1", "@b=1", "a@b@c=1",
            "a@1b=1", String(repeating: "a", count: 257) + "=1", "a=" + String(repeating: "x", count: 257),
            "a@" + String(repeating: "b", count: 15) + "=1",
            (0..<33).map { "k\($0)=1" }.joined(separator: ","), "ok=1,no",
        ])
    func invalidState(_ state: String) {
        #expect(context(Self.parent, state)?.state == "")
        #expect(context(Self.parent, state)?.parent == Self.parent)
    }

    @Test("As many entries as fit into 512 bytes are passed on: long ones go first, then the last")
    func longState() {
        let long = "long=" + String(repeating: "x", count: 200)
        let short = (0..<30).map { "key\($0)=0123456789" }
        let passedOn = context(Self.parent, ([long] + short).joined(separator: ","))?.state ?? ""
        #expect(passedOn.utf8.count <= 512 && passedOn.utf8.count > 480)
        #expect(!passedOn.contains("long=") && passedOn.hasPrefix("key0=0123456789,key1="))
        let most = (0..<32).map { "k\($0)=1" }.joined(separator: ",")
        #expect(context(Self.parent, most)?.state == most)
    }

    @Test("It is read from a call's metadata")
    func metadata() throws {
        var metadata = Metadata()
        #expect(TraceContext(metadata) == nil)
        try metadata.add("traceparent", Self.parent)
        try metadata.add("tracestate", "a=1")
        try metadata.add("tracestate", "b=2")
        #expect(TraceContext(metadata)?.state == "a=1,b=2")
        try metadata.add("traceparent", Self.parent)
        #expect(TraceContext(metadata) == nil)
    }
}
