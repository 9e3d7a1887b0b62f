/// Which of the known names was probably meant.
package enum NearestName {
    /// " (did you mean 'x'?)", or nothing when no name is near.
    package static func hint(for name: String, among known: some Sequence<String>) -> String {
        nearest(to: name, among: known, distanceMax: max(2, name.utf8.count / 3)).map { " (did you mean '\($0)'?)" }
            ?? ""
    }

    /// The nearest name within that distance.
    package static func nearest(
        to name: String, among known: some Sequence<String>, distanceMax: Int
    ) -> String? {
        let nearest = known.lazy.map { ($0, distance(name, $0)) }.min { $0.1 < $1.1 }
        guard let nearest, nearest.1 <= distanceMax else { return nil }
        return nearest.0
    }

    /// How many bytes must be put in, taken out, changed or swapped with the next: the optimal string alignment distance,
    /// over at most 64 bytes of each.
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8.prefix(64))
        let right = Array(right.utf8.prefix(64))
        var before: [Int] = []
        var above = Array(0...right.count)
        for i in left.indices {
            var row = [i + 1]
            for j in right.indices {
                let change = above[j] + (left[i] == right[j] ? 0 : 1)
                var least = min(change, above[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    least = min(least, before[j - 1] + 1)
                }
                row.append(least)
            }
            (before, above) = (above, row)
        }
        return above[right.count]
    }
}
