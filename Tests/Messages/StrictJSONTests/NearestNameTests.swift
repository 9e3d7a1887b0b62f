import StrictJSON
import Testing

struct NearestNameTests {
    @Test(arguments: [
        ("lissten", "listen"), ("tire", "tier"), ("teir", "tier"), ("Listen", "listen"), ("listn", "listen"),
    ])
    func `a slip of the fingers is understood`(written: String, meant: String) {
        #expect(NearestName.hint(for: written, among: ["listen", "tier"]) == " (did you mean '\(meant)'?)")
    }

    @Test func `two letters that changed places are one mistake`() {
        #expect(NearestName.nearest(to: "teir", among: ["tier"], distanceMax: 1) == "tier")
        #expect(NearestName.nearest(to: "tear", among: ["tier"], distanceMax: 1) == nil)
    }

    @Test func `a word that is near nothing gets no hint`() {
        #expect(NearestName.hint(for: "something-else", among: ["listen", "tier"]) == "")
        #expect(NearestName.hint(for: "x", among: []) == "")
    }
}
