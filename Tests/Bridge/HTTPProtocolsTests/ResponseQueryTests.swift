import HTTPProtocols
import Testing

struct ResponseQueryTests {
    @Test func `it says whether the answer streams, and from where`() throws {
        for (query, last, streams, after) in [
            (nil, nil, false, nil), ("stream=false", nil, false, nil), ("stream=true", nil, true, nil),
            ("stream=true&starting_after=7", nil, true, 7),
            ("starting_after=0&stream=true&include_obfuscation=false", nil, true, 0),
            ("include=x&include[]=y", nil, false, nil), (nil, "3", true, 3),
            ("stream=true&starting_after=1", "5", true, 5),
        ] as [(String?, String?, Bool, Int64?)] {
            let read = try ResponseQuery(query, lastEventID: last)
            #expect(read.streams == streams && read.after == after, "\(query ?? "")")
        }
    }

    @Test(arguments: [
        ("stream=1", "true or false"), ("stream", "true or false"), ("starting_after=1", "needs stream=true"),
        ("stream=true&starting_after=x", "whole number"), ("stream=true&starting_after=-1", "whole number"),
        ("before=1", "unknown here"), ("%zz=1", "unknown here"),
    ])
    func `what is not understood is refused by name`(query: String, words: String) {
        #expect { _ = try ResponseQuery(query, lastEventID: nil) } throws: {
            ($0 as? HTTPFailure)?.statusCode == 400 && "\($0)".contains(words)
        }
        #expect(throws: HTTPFailure.self) { _ = try ResponseQuery(nil, lastEventID: "x") }
    }
}
