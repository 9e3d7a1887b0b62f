import BackendIPC
import LinuxSystem
import SandboxPolicy
import TestPlaces
import Testing

@testable import BackendSupervisor

@Suite("Inspections")
struct InspectionsTests {
    private let folder = TemporaryFolder()
    private let told = InspectedFile.inspected(Inspected())

    private func key(_ model: String) -> BackendCatalog.Key { BackendCatalog.Key(name: "b", model: model) }

    /// A model of a folder, with the content of its file.
    private func subject(
        _ model: String, weights: String = "1", executable: String = "b", contextTokens: UInt32? = nil
    ) throws -> Inspections.Subject {
        for name in ["\(weights).gguf", executable] where (try? FileFacts(path: folder.file(name))) == nil {
            folder.write(name, name)
        }
        let (weights, executable) = (folder.file("\(weights).gguf"), folder.file(executable))
        var served = BackendManifest.Model(id: model)
        served.contextTokens = contextTokens
        return Inspections.Subject(
            definition: BackendDefinition(
                name: "b", path: executable, executable: ExecutableVersion(facts: try FileFacts(path: executable)),
                manifest: BackendManifest(executableName: "b"), model: served,
                weights: .init(of: served, inModelFolder: weights)),
            weights: [try FileFacts(path: weights)])
    }

    /// Begins the next inspection, which there must be.
    private func begin(
        _ inspections: inout Inspections
    ) throws -> (key: BackendCatalog.Key, subject: Inspections.Subject) {
        let next = inspections.next()
        return try #require(next)
    }

    @Test("one that a pause has ended begins again, before the others")
    func postponed() throws {
        var inspections = Inspections()
        inspections.look([key("x"): try subject("x"), key("y"): try subject("y", weights: "2")])
        let (first, subject) = try begin(&inspections)
        inspections.postponed(first, subject)
        #expect(inspections.isAwaited(first) && inspections[first] == nil)
        let again = try begin(&inspections)
        #expect(again.key == first)
        inspections.look([:])
        inspections.postponed(again.key, again.subject)
        expectNone(&inspections)
    }

    /// None may begin now.
    private func expectNone(_ inspections: inout Inspections) {
        let next = inspections.next()
        #expect(next?.key == nil)
    }

    @Test("each model is inspected once, one after the other, and is awaited until then")
    func once() throws {
        var inspections = Inspections()
        let subjects = [key("x"): try subject("x")]
        inspections.look(subjects)
        #expect(inspections.isAwaited(key("x")) && inspections[key("x")] == nil)
        let (begun, subject) = try begin(&inspections)
        #expect(begun == key("x"))
        expectNone(&inspections)
        inspections.look(subjects)
        #expect(inspections.isAwaited(key("x")))
        expectNone(&inspections)
        inspections.ended(begun, subject, told)
        inspections.look(subjects)
        #expect(!inspections.isAwaited(key("x")) && inspections[key("x")] == told)
        expectNone(&inspections)
    }

    @Test("a file or settings that have changed are inspected again, and what was found before is worth nothing")
    func changed() throws {
        let first = try subject("x")
        for second in [try subject("x", weights: "2"), try subject("x", contextTokens: 9)] {
            var inspections = Inspections()
            inspections.look([key("x"): first])
            let begun = try begin(&inspections)
            inspections.look([key("x"): second])
            inspections.ended(begun.key, begun.subject, told)
            #expect(inspections.isAwaited(key("x")) && inspections[key("x")] == nil)
            let again = try begin(&inspections)
            #expect(again.subject == second)
            inspections.ended(again.key, again.subject, .refused("torn"))
            #expect(inspections[key("x")] == .refused("torn"))
        }
    }

    @Test("a model that has gone is forgotten, whether it waited or was being inspected")
    func gone() throws {
        var inspections = Inspections()
        inspections.look([key("x"): try subject("x"), key("y"): try subject("y")])
        let begun = try begin(&inspections)
        inspections.look([:])
        inspections.ended(begun.key, begun.subject, told)
        #expect(inspections[begun.key] == nil && !inspections.isAwaited(begun.key))
        expectNone(&inspections)
    }

    @Test("the model that a request waits for is inspected next")
    func hurry() throws {
        var inspections = Inspections()
        let names = ["w", "x", "y", "z"]
        inspections.look(try Dictionary(uniqueKeysWithValues: names.map { (key($0), try subject($0)) }))
        for name in names {
            inspections.hurry(key(name))
            let begun = try begin(&inspections)
            #expect(begun.key == key(name))
            inspections.ended(begun.key, begun.subject, told)
        }
    }

    @Test("an executable that inspects nothing is asked once, and its models are not awaited; another one is asked")
    func unable() throws {
        var inspections = Inspections()
        let subjects = [key("x"): try subject("x"), key("y"): try subject("y")]
        inspections.look(subjects)
        let begun = try begin(&inspections)
        inspections.ended(begun.key, begun.subject, .unable)
        #expect(!inspections.isAwaited(key("x")) && !inspections.isAwaited(key("y")))
        expectNone(&inspections)
        inspections.look(subjects)
        expectNone(&inspections)
        inspections.look([key("x"): try subject("x", executable: "c")])
        let other = try begin(&inspections)
        #expect(other.key == key("x"))
    }
}
