internal import SandboxPolicy

/// Lines that differ, as diff(1) shows them.
package enum LineDifference {
    /// Lines that only `old` has begin with "-", lines that only `new` has with "+", and up to `context` lines around
    /// them with " "; "..." replaces lines that are left out. Empty when both are the same.
    package static func lines(_ old: [String], _ new: [String], context: Int = 2) -> [String] {
        let difference = new.difference(from: old)
        guard !difference.isEmpty else { return [] }
        let removed = Set(difference.removals.map(\.offset))
        let inserted = Set(difference.insertions.map(\.offset))
        var merged: [String] = []
        var (left, right) = (0, 0)
        while left < old.count || right < new.count {
            if left < old.count, removed.contains(left) {
                merged.append("-" + old[left])
                left += 1
            } else if right < new.count, inserted.contains(right) {
                merged.append("+" + new[right])
                right += 1
            } else {
                if left < old.count { merged.append(" " + old[left]) }
                left += 1
                right += 1
            }
        }
        return abridged(merged, context: context)
    }

    private static func abridged(_ lines: [String], context: Int) -> [String] {
        let changes = lines.indices.filter { !lines[$0].hasPrefix(" ") }
        var kept = Set<Int>()
        for change in changes { kept.formUnion(max(0, change - context)...min(lines.count - 1, change + context)) }
        var result: [String] = []
        for index in lines.indices {
            if kept.contains(index) {
                result.append(lines[index])
            } else if result.last != "..." {
                result.append("...")
            }
        }
        return result
    }
}

extension CollectionDifference.Change {
    fileprivate var offset: Int {
        switch self {
        case .insert(let offset, _, _), .remove(let offset, _, _): offset
        }
    }
}
