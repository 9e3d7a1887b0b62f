import Foundation
import TestPlaces
import Testing

/// The policies for runtimes, with the runtimes: what they are for works under them, and under strict it does not.
@Suite(.serialized) struct RuntimePolicyTests {
    private let stage: Stage

    init() throws { stage = try Stage() }

    /// What a dynamically linked program needs to see; links among them are followed.
    private static let libraries = ["/usr", "/lib", "/lib64"].filter { FileManager.default.fileExists(atPath: $0) }
        .flatMap { ["--executable-bind", $0] }

    private static let script = """
        import asyncio, concurrent.futures, datetime, hashlib, json, mmap, os, socket, ssl, sys, threading, time, zlib
        async def one(number):
            await asyncio.sleep(0.001)
            return number
        async def several():
            return sum(await asyncio.gather(*[one(number) for number in range(5)])) + await asyncio.to_thread(len, "abc")
        print("json", json.loads('{"a": 1}'))
        print("asyncio", asyncio.run(several()))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            print("threads", sum(pool.map(lambda number: number * number, range(10))))
        library = os.path.dirname(json.__file__)
        print("list", "decoder.py" in os.listdir(library))
        with open(json.__file__, "rb") as file:
            print("map", len(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)) > 100)
        agent = socket.socket(fileno=3)
        agent.setblocking(False)
        try:
            agent.recv(1)
        except BlockingIOError:
            print("socket", "empty")
        def refused(name, act):
            try:
                act()
                print("did", name)
            except (OSError, RuntimeError):
                print("refused", name)
        refused("fork", os.fork)
        refused("network", lambda: socket.socket())
        refused("create", lambda: open(library + "/new", "w"))
        refused("signal", lambda: os.kill(1, 0))
        refused("execute", lambda: os.execv("/usr/bin/true", ["true"]))
        refused("memory file", lambda: os.memfd_create("x"))
        refused("writable code", lambda: mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7))
        refused("shared memory", lambda: mmap.mmap(-1, 4096))
        refused("passwd", lambda: open("/etc/passwd"))
        print("done")
        """

    private static let worksInPython = [
        "json {'a': 1}", "asyncio 13", "threads 285", "list True", "map True", "socket empty", "refused fork",
        "refused network", "refused create", "refused signal", "refused execute", "refused memory file",
        "refused writable code", "refused shared memory", "refused passwd", "done",
    ]

    /// The interpreter's own file: a backend is no symbolic link.
    private static func interpreter() -> String? {
        let names = try? FileManager.default.contentsOfDirectory(atPath: "/usr/bin")
        return names?.filter { $0.wholeMatch(of: /python3\.[0-9]+/) != nil }.max().map { "/usr/bin/" + $0 }
    }

    private func runPython(_ policy: String) throws -> Stage.Outcome? {
        guard let interpreter = RuntimePolicyTests.interpreter() else {
            print("there is no /usr/bin/python3.N, so the policy 'python' is not tried")
            return nil
        }
        return try stage.run(
            ["launch", "--policy", policy] + RuntimePolicyTests.libraries
                + [try stage.add(interpreter, as: "python"), "-c", RuntimePolicyTests.script])
    }

    @Test("CPython runs under python: asyncio, threads, files of its prefix, the agent's socket, and nothing else")
    func python() throws {
        guard let outcome = try runPython("python") else { return }
        #expect(outcome.lines == RuntimePolicyTests.worksInPython)
        #expect(outcome.status == 0)
    }

    @Test("CPython does not come up under policies that open no files", arguments: ["strict", "inference-cpu"])
    func pythonUnderOthers(policy: String) throws {
        guard let outcome = try runPython(policy) else { return }
        #expect(outcome.status != 0 && !outcome.lines.contains("done"))
    }

    private func runSwift(_ policy: String) throws -> Stage.Outcome {
        let probe = try stage.add(Built.path("runtime-probe"), as: "runtime-probe")
        return try stage.run(["launch", "--policy", policy, "--memory", "1024", "--bind", "/usr/share/zoneinfo", probe])
    }

    @Test("a static Swift program with Foundation runs under swift-runtime, and only reads what it was given")
    func swift() throws {
        let outcome = try runSwift("swift-runtime")
        #expect(
            outcome.lines == [
                "read TZif", "listed true", "size true", "zone 2023-12-31T23:00:00Z", #"json {"a":[1,2]}"#,
                "processors true", "tasks 190", "timer fired", "refused fork", "refused socket", "refused create",
                "refused write",
                "refused signal", "refused passwd", "done",
            ])
        #expect(outcome.status == 0)
    }

    @Test("under strict it reads nothing")
    func swiftUnderStrict() throws {
        let outcome = try runSwift("strict")
        #expect(outcome.status == 1 && outcome.lines.first?.hasPrefix("cannot read") == true, "\(outcome.output)")
    }
}
