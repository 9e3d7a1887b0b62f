package import InferenceMessages
internal import SwiftProtobuf

internal import struct Foundation.Data

/// What another bridge has been told of the stored responses, and what it is told next. Pure.
///
/// It is told in rounds: of each response what was there when the round began, so that one that is computed fast holds up no
/// other. After the first round it knows every response as it stood.
package struct ResponsesTelling: Sendable {
    package typealias Piece = Hearth_Handover_V1_ResponsesPiece

    /// How much of a response was told.
    private struct Told {
        var events = 0
        var failure = false
    }

    /// What a round tells of a response: its events up to this number, and how it ended behind them.
    private struct Due {
        let id: String
        let events: Int
    }

    /// Events that are told at once.
    package static let eventsAtOnce = 256

    private var told: [String: Told] = [:]
    private var round: [Due] = []
    private var hasBegun = false
    private var isNamed = false

    package init() {}

    /// The next pieces; none: all was told, until something changes.
    package mutating func next(of stored: StoredResponses) -> [Piece] {
        while true {
            while let due = round.last {
                let pieces = pieces(of: due, in: stored)
                if !pieces.isEmpty { return pieces }
                round.removeLast()
            }
            if hasBegun, !isNamed {
                isNamed = true
                return [.with { $0.named = .init() }]
            }
            beginRound(of: stored)
            if round.isEmpty, isNamed { return [] }
        }
    }

    private mutating func beginRound(of stored: StoredResponses) {
        hasBegun = true
        for id in Set(stored.ids).union(told.keys) {
            let response = stored[id]
            let known = told[id]
            let isNews =
                known == nil || response == nil || known?.events != response?.eventCount
                || known?.failure != (response?.failure != nil)
            if isNews { round.append(Due(id: id, events: response?.eventCount ?? 0)) }
        }
    }

    /// None: the round has told all of it.
    private mutating func pieces(of due: Due, in stored: StoredResponses) -> [Piece] {
        let id = due.id
        guard let response = stored[id] else {
            return told.removeValue(forKey: id) == nil ? [] : [.with { $0.removed = id }]
        }
        guard let known = told[id] else {
            guard let record = stored.record(id) else { return [] }
            told[id] = Told()
            return [.with { $0.response = record }]
        }
        if known.events < due.events {
            let most = min(Self.eventsAtOnce, due.events - known.events)
            let events = response.encodedEvents(behind: known.events, most: most)
            told[id]?.events += events.count
            return events.map { event in
                .with {
                    $0.event.id = id
                    $0.event.event = Data(event)
                }
            }
        }
        // Whatever has come besides is told in the next round, and the failure behind it.
        guard known.events == response.eventCount, !known.failure, let failure = response.failure else { return [] }
        told[id]?.failure = true
        return [.with { $0.failure = .init(id, failure) }]
    }
}
