import Foundation
import InferenceMessages
import LinuxSystem
import SandboxPolicy
import SwiftProtobuf
import TestPlaces
import Testing

@testable import BackendSupervisor

@Suite("The folders of models")
struct ModelFolderTests {
    private let backends = TemporaryFolder()
    private let first = TemporaryFolder()
    private let second = TemporaryFolder()

    private func catalog(
        before: BackendCatalog = BackendCatalog(), settled: UInt64 = 0, lent: [String] = []
    ) throws -> BackendCatalog {
        var limits = SupervisorConfiguration.Limits()
        limits.settledMilliseconds = settled
        limits.weightsSettledMilliseconds = 0
        var reader = CatalogReader(
            path: backends.path, policiesDirectory: "/none", owner: OwnerLimits(threads: 1), limits: limits,
            digests: DigestCache())
        reader.modelFolders = [first.path, second.path]
        reader.lentModels = lent
        return try reader.read(before: before)
    }

    private func serve(_ name: String, _ manifest: String = #"{"serves": ["gguf"]}"#) {
        backends.write(name, permissions: 0o755)
        backends.write("\(name).json", manifest)
    }

    private func reason(_ path: String, in catalog: BackendCatalog) -> String? {
        catalog.unserved.first { $0.path == path }?.reason
    }

    @Test("a file is a model at once, on demand, under its name, on the backend that serves its format")
    func dropped() throws {
        serve("llama", #"{"policy": "p", "serves": ["gguf"], "memoryMebibytes": 7}"#)
        let path = first.write("Fox-1B-Q4_0.gguf", "weights")
        let found = try catalog()
        #expect(found.definitions.map(\.model.id) == ["fox-1b:q4_0"], "it has no model of its own beside these")
        let definition = try #require(found.definitions.first)
        #expect(definition.name == "llama" && definition.manifest.policy == "p")
        #expect(definition.model.residence == .onDemand(keepAliveSeconds: nil))
        #expect(definition.weights.place?.path == path)
        let weights = try #require(found.files[BackendCatalog.Key(name: "llama", model: "fox-1b:q4_0")]?.weights)
        #expect(weights.areThere)
        #expect(found.unserved.isEmpty)
    }

    @Test("a folder with more entries than are looked at says so")
    func manyEntries() throws {
        for name in ["a", "b", "c"] { first.write("\(name).gguf", "weights") }
        #expect(try ModelFolder.scan(first.path, formats: ["gguf"], namesMax: 3).unserved.isEmpty)
        let found = try ModelFolder.scan(first.path, formats: ["gguf"], namesMax: 2)
        #expect(found.models.count == 2)
        #expect(found.unserved.map(\.path) == [first.path])
        #expect(found.unserved.first?.reason.hasPrefix("a folder with more than 2 entries") == true)
    }

    @Test("its adapters are files of it and no models, and what is missing of them is told with its name")
    func adapters() throws {
        serve("llama")
        let path = first.write("fox.gguf", "weights")
        let adapter = first.write("formal.gguf", "adapter")
        first.write(
            "fox.json", #"{"adapters": {"formal": {"file": "formal.gguf"}, "terse": {"file": "terse.lora"}}}"#)
        let found = try catalog()
        #expect(found.definitions.map(\.model.id) == ["fox"])
        let definition = try #require(found.definitions.first)
        #expect(definition.weights.places.map(\.path) == [path, adapter, first.file("terse.lora")])
        let looks = try #require(found.files[BackendCatalog.Key(name: "llama", model: "fox")]?.weights)
        #expect(!looks.areThere && looks.byteCount == 14)
        let lack = definition.lack(of: ["chat"], nil)
        #expect(lack == "computes with no adapters; leave \"adapters\" out of the model's settings")
        #expect(definition.lack(of: ["adapters"], nil) == nil)
        #expect(
            definition.wait(for: looks)
                == "waits for its weights: \(first.file("terse.lora")) is missing; bring it, or take \"terse\" out of "
                + "\"adapters\" in its settings")
        first.write("terse.lora", "other")
        let whole = try catalog(before: found)
        #expect(whole.unserved.isEmpty, "an ending that is no model's is told of nothing that settings name")
        #expect(whole.files[BackendCatalog.Key(name: "llama", model: "fox")]?.weights.areThere == true)
        first.write("formal.json", #"{"adapters": {"fox": {"file": "fox.gguf"}}}"#)
        #expect(try catalog().definitions.map(\.model.id) == ["formal", "fox"], "neither hides the other")
    }

    @Test("its draft model is a file of it, behind its adapters, and a model of its own if its name ends as one")
    func draft() throws {
        serve("llama")
        let path = first.write("fox.gguf", "weights")
        let adapter = first.write("formal.lora", "adapter")
        first.write(
            "fox.json", #"{"adapters": {"formal": {"file": "formal.lora"}}, "draft": {"file": "small.draft"}}"#)
        let waiting = try catalog()
        let definition = try #require(waiting.definitions.first)
        #expect(definition.weights.places.map(\.path) == [path, adapter, first.file("small.draft")])
        let looks = try #require(waiting.files[BackendCatalog.Key(name: "llama", model: "fox")]?.weights)
        #expect(
            definition.wait(for: looks)
                == "waits for its weights: \(first.file("small.draft")) is missing; bring it, or take \"file\" out of "
                + "\"draft\" in its settings")
        #expect(
            definition.lack(of: ["adapters", "draft_lookup"], nil)
                == "drafts no tokens with a second model (it lacks \"draft_model\"); leave \"file\" out of \"draft\" in the "
                + "model's settings")
        #expect(definition.lack(of: ["adapters", "draft_model"], nil) == nil)
        first.write("small.draft", "small")
        let whole = try catalog(before: waiting)
        #expect(whole.unserved.isEmpty && whole.definitions.map(\.model.id) == ["fox"])
        #expect(whole.files[BackendCatalog.Key(name: "llama", model: "fox")]?.weights.byteCount == 19)
        first.write("small.gguf", "small")
        first.write("fox.json", #"{"draft": {"file": "small.gguf"}}"#)
        #expect(try catalog().definitions.map(\.model.id) == ["fox", "small"])
    }

    @Test("its settings say its id, its backend and all that a manifest says of a model")
    func settings() throws {
        serve("a")
        serve("b")
        first.write("x.gguf")
        first.write(
            "x.json",
            #"{"id": "fox", "backend": "b", "contextTokens": 9, "maxSequences": 2, "threads": 3, "memoryMebibytes": 4,"#
                + #" "load": "start", "options": {"k": 1}}"#)
        let definition = try #require(try catalog().definitions.first)
        #expect(definition.name == "b" && definition.model.id == "fox")
        #expect(definition.model.contextTokens == 9 && definition.model.maxSequences == 2)
        #expect(definition.model.threads == 3 && definition.model.memoryMebibytes == 4)
        #expect(definition.model.residence == .always && definition.model.options == ["k": "1"])
        first.write("x.json", #"{"keepAliveSeconds": 5}"#)
        let other = try #require(try catalog().definitions.first)
        #expect(other.name == "a", "the first by name, where nothing is said")
        #expect(other.model.id == "x" && other.model.residence == .onDemand(keepAliveSeconds: 5))
    }

    @Test("settings that are refused are told, and those in force before go on")
    func refusedSettings() throws {
        serve("a")
        let path = first.write("x.gguf")
        first.write("x.json", #"{"contextTokens": 5}"#)
        let good = try catalog()
        first.write("x.json", #"{"contextTokenz": 6}"#)
        let kept = try catalog(before: good)
        #expect(kept.definitions.first?.model.contextTokens == 5)
        let notice = try #require(kept.notices[BackendCatalog.Key(name: "a", model: "x")])
        #expect(notice.contains("did you mean 'contextTokens'?") && notice.contains("the earlier ones are in force"))
        #expect(kept.definitions.first.map { good.definitions[0].isSame(as: $0) } == true)
        let fresh = try catalog()
        #expect(fresh.definitions.isEmpty, "nobody knows what was meant")
        #expect(reason(path, in: fresh)?.contains("did you mean 'contextTokens'?") == true)
    }

    @Test("of two with one id the first is served, by folder and then by name, and the other told what to do")
    func sameID() throws {
        serve("a")
        let served = first.write("m-q8_0.gguf")
        let also = first.write("m.q8_0.gguf")
        let other = second.write("M-Q8_0.gguf")
        let found = try catalog()
        #expect(found.definitions.map { $0.weights.place?.path } == [served])
        for path in [also, other] {
            #expect(reason(path, in: found)?.contains("\(served) has the id 'm:q8_0' already") == true)
        }
        backends.write("a.json", #"{"serves": ["gguf"], "models": [{"id": "m:q8_0"}]}"#)
        #expect(reason(served, in: try catalog())?.contains("the manifest of a") == true)
    }

    @Test("what cannot be served is told with the reason and a remedy, and what is no model is not")
    func unserved() throws {
        serve("a")
        for name in ["README.md", "LICENSE.txt", ".hidden.gguf", "x.gguf~"] { first.write(name) }
        let expected = [
            "x.safetensors": "the backends here serve .gguf", "y.gguf.part": "still on its way",
            "alone.json": "the settings of a model that does not lie beside it",
            "big-q8_0-00001-of-00003.gguf":
                "the first of 3 parts of a model, of which 2 are missing: big-q8_0-00002-of-",
            "odd-00004-of-00003.gguf": "its number is not among 1 to 3", "plain": "the backends here serve .gguf",
        ]
        for name in expected.keys { first.write(name, "{}") }
        try FileManager.default.createDirectory(atPath: first.file("sub"), withIntermediateDirectories: false)
        let found = try catalog()
        #expect(found.definitions.isEmpty)
        #expect(Set(found.unserved.map(\.path)) == Set((expected.keys + ["sub"]).map(first.file)))
        for (name, words) in expected {
            #expect(reason(first.file(name), in: found)?.contains(words) == true, "\(name)")
        }
        #expect(reason(first.file("sub"), in: found)?.contains("it is a folder") == true)
    }

    @Test("without a backend that serves them models are told so, also when the backend goes later")
    func noBackend() throws {
        let path = first.write("x.gguf")
        #expect(reason(path, in: try catalog())?.contains("install a backend") == true)
        serve("a")
        let served = try catalog()
        #expect(served.definitions.count == 1)
        backends.write("a.json", #"{"models": [{"id": "n"}]}"#)
        let gone = try catalog(before: served)
        #expect(gone.definitions.map(\.model.id) == ["n"])
        first.write("x.json", #"{"backend": "b"}"#)
        serve("a")
        #expect(
            reason(path, in: try catalog())?.contains("name the backend 'b', and those that serve .gguf are: a") == true
        )
    }

    @Test("a link is served for what it leads to, and what a link leads to is what is checked")
    func links() throws {
        serve("a")
        let blob = second.write("blob")
        try FileManager.default.createSymbolicLink(atPath: second.file("hop"), withDestinationPath: "blob")
        try FileManager.default.createSymbolicLink(
            atPath: first.file("linked.gguf"), withDestinationPath: second.file("hop"))
        try FileManager.default.linkItem(atPath: blob, toPath: first.file("hard.gguf"))
        let key = BackendCatalog.Key(name: "a", model: "linked")
        let found = try catalog()
        #expect(found.definitions.map(\.model.id) == ["hard", "linked"])
        #expect(found.files[key]?.weights.areThere == true)
        chmod(blob, 0o666)
        #expect(try catalog().files[key]?.weights.refusal?.contains("writable by everyone") == true)
        chmod(blob, 0o644)
        #expect(try catalog().files[key]?.weights.areThere == true)
        // Whoever owns a link could lead the agent to files that only the agent may read.
        if geteuid() == 0 {
            lchown(first.file("linked.gguf"), 12_345, 12_345)
            #expect(try catalog().files[key]?.weights.refusal?.contains("user 12345") == true)
            lchown(first.file("linked.gguf"), 0, 0)
        }
        second.remove("blob")
        #expect(try catalog().files[key]?.weights == [.missing])
    }

    @Test("a model in parts is one, by its name and its settings, once all of its parts lie there")
    func parts() throws {
        serve("a")
        let paths = (1...3).map { first.file("Big-Q8_0-0000\($0)-of-00003.gguf") }
        for number in [3, 1] { first.write("Big-Q8_0-0000\(number)-of-00003.gguf", "12345") }
        let settings = first.write("Big-Q8_0.json", #"{"contextTokens": 9}"#)
        let early = try catalog()
        #expect(early.definitions.isEmpty)
        #expect(reason(paths[0], in: early)?.contains("1 are missing: Big-Q8_0-00002-of-00003.gguf; bring") == true)
        first.write("Big-Q8_0-00002-of-00003.gguf", "12345")
        let whole = try catalog(before: early)
        let definition = try #require(whole.definitions.first)
        #expect(definition.model.id == "big:q8_0" && definition.model.contextTokens == 9)
        #expect(definition.weights.places.map(\.path) == paths && whole.definitions.count == 1)
        let key = BackendCatalog.Key(name: "a", model: "big:q8_0")
        #expect(whole.files[key]?.weights.byteCount == 15 && whole.files[key]?.weights.areThere == true)
        #expect(whole.unserved.isEmpty)
        #expect(try catalog(lent: [paths[1]]).definitions.count == 1, "each part stands for the whole")
        // The settings of a part are nobody's.
        first.write("Big-Q8_0-00001-of-00003.json", "{}")
        #expect(
            reason(first.file("Big-Q8_0-00001-of-00003.json"), in: try catalog())?.contains("parts are \(settings)")
                == true)
        first.remove("Big-Q8_0-00002-of-00003.gguf")
        let away = try catalog(before: whole, settled: 60_000)
        #expect(
            away.definitions.count == 1
                && away.files[key]?.weights.wait(for: definition.weights.places)
                    == "waits for its weights: \(paths[1]) is missing"
        )
        #expect(try catalog(before: away).definitions.isEmpty)
    }

    @Test(
        "of two sets of parts with one name, and a whole file beside them, one is served, and the others are told why")
    func setsOfOneName() throws {
        serve("a")
        for count in 2...3 {
            for number in 1...count { first.write("big-0000\(number)-of-0000\(count).gguf") }
        }
        let whole = first.write("big.gguf")
        let found = try catalog()
        let served = first.file("big-00001-of-00002.gguf")
        #expect(found.definitions.map { $0.weights.place?.path } == [served])
        for path in [first.file("big-00001-of-00003.gguf"), whole] {
            #expect(reason(path, in: found)?.contains("\(served) has the id 'big' already; rename or remove") == true)
        }
        // A single part is a whole model, and too many are none.
        first.write("alone-00001-of-00001.gguf")
        first.write("many-00001-of-00129.gguf")
        let more = try catalog()
        #expect(more.definitions.map(\.model.id) == ["alone", "big"])
        #expect(reason(first.file("many-00001-of-00129.gguf"), in: more)?.contains("at most 128 are served") == true)
    }

    @Test("the parts of a model that a manifest names are its weights")
    func partsOfManifest() throws {
        backends.write("a", permissions: 0o755)
        backends.write("a.json", #"{"models": [{"id": "m", "file": "x-00001-of-00002.gguf"}]}"#)
        for number in 1...2 { backends.write("x-0000\(number)-of-00002.gguf", permissions: 0o755) }
        let found = try catalog()
        #expect(found.definitions.map(\.name) == ["a"] && found.ignored.isEmpty)
        #expect(found.files[BackendCatalog.Key(name: "a", model: "m")]?.weights.count == 2)
    }

    @Test("a chat template is a file beside the model, followed like its settings, and told if it cannot be one")
    func chatTemplate() throws {
        serve("a")
        let path = first.write("x.gguf")
        first.write("x.json", #"{"chatTemplate": "own.jinja"}"#)
        let missing = try catalog()
        #expect(missing.definitions.isEmpty)
        #expect(reason(path, in: missing)?.contains("its settings are refused") == true)
        #expect(reason(path, in: missing)?.contains("own.jinja") == true)
        first.write("own.jinja", "{{ 1 }}")
        let good = try catalog()
        #expect(good.definitions.first?.model.chatTemplate == "{{ 1 }}" && good.unserved.isEmpty)
        first.write("own.jinja", "{{ 22 }}")
        let changed = try catalog(before: good)
        #expect(changed.definitions.first?.model.chatTemplate == "{{ 22 }}")
        #expect(changed.definitions.first.map { good.definitions[0].isSame(as: $0) } == false)
        let key = BackendCatalog.Key(name: "a", model: "x")
        for (text, words) in [
            ("no template", "is no Jinja template"), (String(repeating: "{", count: 1_048_577), "1048576"),
        ] {
            first.write("own.jinja", text)
            let refused = try catalog(before: changed)
            #expect(refused.definitions.first?.model.chatTemplate == "{{ 22 }}", "the earlier one is in force")
            #expect(refused.notices[key]?.contains(words) == true, "\(refused.notices[key] ?? "")")
        }
        first.write("own.jinja", "{{ 1 }}")
        chmod(first.file("own.jinja"), 0o666)
        #expect(try catalog(before: changed).notices[key]?.contains("writable by everyone") == true)
        // In a manifest it is the text itself.
        backends.write("a.json", #"{"models": [{"id": "m", "chatTemplate": "{{ 3 }}"}]}"#)
        #expect(try catalog().definitions.first?.model.chatTemplate == "{{ 3 }}")
    }

    @Test("sampling goes before the fields of a request, which win where both have a value")
    func samplingDefaults() throws {
        var sampling = SamplingDefaults()
        #expect(sampling.encodedRequest.isEmpty)
        (sampling.temperature, sampling.topK, sampling.repetitionPenalty) = (0.5, 300, 2)
        (sampling.penaltyWindow, sampling.typicalP, sampling.topNSigma) = (256, 0.75, 2)
        (sampling.xtcProbability, sampling.xtcThreshold) = (0.5, 0.25)
        (sampling.dryMultiplier, sampling.dryBase, sampling.dryAllowedLength, sampling.dryWindow) = (0.5, 2, 3, 0)
        let own = Hearth_V1_GenerateRequest.with {
            $0.text = "a"
            $0.sampling.temperature = 0
        }
        let merged = try Hearth_V1_GenerateRequest(
            serializedBytes: sampling.encodedRequest + (try own.serializedBytes() as [UInt8]))
        #expect(merged.text == "a" && merged.sampling.temperature == 0 && merged.sampling.topK == 300)
        #expect(merged.sampling.repetitionPenalty == 2 && !merged.sampling.hasTopP)
        #expect(merged.sampling.penaltyWindow == 256 && merged.sampling.typicalP == 0.75)
        #expect(merged.sampling.topNSigma == 2 && merged.sampling.xtcProbability == 0.5)
        #expect(merged.sampling.xtcThreshold == 0.25 && merged.sampling.dryMultiplier == 0.5)
        #expect(merged.sampling.dryBase == 2 && merged.sampling.dryAllowedLength == 3)
        #expect(merged.sampling.hasDryWindow && merged.sampling.dryWindow == 0)
        var alone = merged.sampling
        alone.temperature = 0.5
        #expect(try Hearth_V1_Sampling(serializedBytes: sampling.encoded) == alone)
    }

    @Test("sampling that only some backends know is refused by the others, by what they know")
    func extendedSampling() throws {
        serve("llama")
        first.write("fox.gguf", "weights")
        first.write("fox.json", #"{"sampling": {"topK": 5, "dryMultiplier": 0.5}}"#)
        let definition = try #require(try catalog().definitions.first)
        #expect(definition.lack(of: ["samplers"], nil) == nil)
        #expect(definition.lack(of: ["chat"], nil)?.hasPrefix("knows only temperature, topP, topK, minP and") == true)
        first.write("fox.json", #"{"sampling": {"topK": 5}}"#)
        #expect(try catalog().definitions.first?.lack(of: [], nil) == nil)
    }

    @Test("a file that is lent is served wherever it lies, and under another id where its own is taken")
    func lent() throws {
        serve("a")
        let elsewhere = TemporaryFolder()
        let path = elsewhere.write("x.gguf")
        #expect(try catalog(lent: [path]).definitions.map(\.model.id) == ["x"])
        first.write("x.gguf")
        let both = try catalog(lent: [path])
        #expect(both.definitions.map(\.model.id) == ["x", "x~2"])
        #expect(both.definitions.last?.weights.place?.path == path)
        #expect(try catalog(before: both).definitions.map(\.model.id) == ["x"])
        let inFolder = first.file("x.gguf")
        #expect(try catalog(lent: [inFolder]).definitions.map(\.model.id) == ["x"], "it is served already")
        let other = elsewhere.write("y.txt")
        #expect(reason(other, in: try catalog(lent: [other]))?.contains("the backends here serve .gguf") == true)
    }

    @Test("a file that is away for a moment was not away; one that stays away is served no more")
    func replaced() throws {
        serve("a")
        let path = first.write("x.gguf")
        let before = try catalog()
        first.remove("x.gguf")
        let away = try catalog(before: before, settled: 60_000)
        #expect(away.definitions.count == 1 && away.isSettling)
        #expect(try catalog(before: away).definitions.isEmpty)
        first.write("x.gguf")
        let back = try catalog(before: away)
        #expect(back.models[path]?.missingSince == nil && back.definitions.count == 1)
    }

    @Test("a folder that is not there hides none of the others, and takes away nothing of what is served out of it")
    func absentFolder() throws {
        serve("a")
        second.write("x.gguf")
        let before = try catalog()
        first.remove()
        #expect(reason(first.path, in: try catalog())?.contains("not there; make it") == true)
        second.remove()
        let kept = try catalog(before: before)
        #expect(kept.definitions.count == 1)
        #expect(kept.files[BackendCatalog.Key(name: "a", model: "x")]?.weights == [.missing])
    }
}
