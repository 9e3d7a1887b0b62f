package import LimitDeclaration

/// The limits of the export of traces.
package struct TracingLimits: LimitGroup {
    @Limit("Spans that wait to be exported; further ones are dropped.")
    package var spansWaitingMax = 2_048
    @Limit("Bytes of spans that wait to be exported; further ones are dropped.")
    package var spansWaitingBytesMax = 4 << 20
    @Limit("Spans of one export.")
    package var spansPerExportMax = 512
    /// Collectors take 4 MiB in a message, unless they are told otherwise.
    @Limit("Bytes of the spans of one export.")
    package var exportBytesMax = 1 << 20
    @Limit("How long a span waits for others to be exported with.")
    package var exportPauseMilliseconds: UInt64 = 5_000
    @Limit("How long the collector may take to answer an export; then it has failed.")
    package var exportMilliseconds: UInt64 = 10_000
    @Limit("How long an export is tried again; then its spans are dropped.")
    package var exportRetrySeconds: UInt64 = 300
    @Limit("How long the agent's end waits for the last export.")
    package var lastExportMilliseconds: UInt64 = 3_000
    @Limit("Things that happened to a turn that its span tells; further ones are counted only.")
    package var eventsPerSpanMax = 32

    package static let inForce = TracingLimits()
}
