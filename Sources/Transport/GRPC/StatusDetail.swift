internal import BaseEncodings
internal import GRPCMessages
internal import SwiftProtobuf

internal import struct Foundation.Data

extension Status {
    /// A detail that a program can act on: a message of `google.rpc`, or any other, with its type's URL.
    package struct Detail: Hashable, Sendable {
        /// "type.googleapis.com/google.rpc.RetryInfo".
        package let typeURL: String
        /// The message, serialized.
        package let value: [UInt8]

        package init(typeURL: String, value: [UInt8]) {
            self.typeURL = typeURL
            self.value = value
        }
    }
}

extension Status.Detail {
    /// RetryInfo: the same call can succeed after this time.
    package static func retry(afterMilliseconds milliseconds: UInt64) -> Status.Detail {
        packed(
            Google_Rpc_RetryInfo.with {
                $0.retryDelay.seconds = Int64(clamping: milliseconds / 1_000)
                $0.retryDelay.nanos = Int32(milliseconds % 1_000) * 1_000_000
            })
    }

    /// QuotaFailure: a limit of the subject, such as "model:NAME" or "stream", was met.
    package static func quotaFailure(subject: String, description: String) -> Status.Detail {
        packed(
            Google_Rpc_QuotaFailure.with {
                $0.violations = [
                    .with {
                        $0.subject = subject
                        $0.description_p = description
                    }
                ]
            })
    }

    /// BadRequest: a field of the request, named by its path, is wrong.
    package static func badRequest(field: String, description: String) -> Status.Detail {
        packed(
            Google_Rpc_BadRequest.with {
                $0.fieldViolations = [
                    .with {
                        $0.field = field
                        $0.description_p = description
                    }
                ]
            })
    }

    private static func packed(_ message: some SwiftProtobuf.Message) -> Status.Detail {
        // Fails only for required fields that are not set; proto3 has none.
        let bytes: [UInt8] = (try? message.serializedBytes()) ?? []
        return Status.Detail(typeURL: "type.googleapis.com/\(type(of: message).protoMessageName)", value: bytes)
    }
}

extension Status {
    /// RESOURCE_EXHAUSTED because a limit was met: names it, in words and as the QuotaFailure of a subject.
    package static func limitMet(
        _ limit: String, _ message: String, subject: String, details: [Detail] = []
    ) -> Status {
        Status(
            .resourceExhausted, "\(message) (\(limit))",
            details: [.quotaFailure(subject: subject, description: "\(limit): \(message)")] + details)
    }

    /// The limit that `limitMet` names.
    package var limit: String? {
        guard code == .resourceExhausted else { return nil }
        for detail in details where detail.typeURL.hasSuffix("/\(Google_Rpc_QuotaFailure.protoMessageName)") {
            let failure = try? Google_Rpc_QuotaFailure(serializedBytes: detail.value)
            guard let text = failure?.violations.first?.description_p, let colon = text.firstIndex(of: ":") else {
                continue
            }
            return String(text[..<colon])
        }
        return nil
    }

    /// How long to wait before the same call can succeed, as `RetryInfo` says.
    package var retryAfterMilliseconds: UInt64? {
        for detail in details where detail.typeURL.hasSuffix("/\(Google_Rpc_RetryInfo.protoMessageName)") {
            guard let info = try? Google_Rpc_RetryInfo(serializedBytes: detail.value), info.hasRetryDelay else {
                continue
            }
            let (seconds, nanoseconds) = (info.retryDelay.seconds, Int64(info.retryDelay.nanos))
            guard seconds >= 0, seconds <= Int64.max / 2_000, nanoseconds >= 0 else { continue }
            return UInt64(seconds * 1_000 + nanoseconds / 1_000_000)
        }
        return nil
    }

    /// The fields of the request that `BadRequest` calls wrong, by their paths.
    package var badFields: [String] {
        details.filter { $0.typeURL.hasSuffix("/\(Google_Rpc_BadRequest.protoMessageName)") }.flatMap { detail in
            (try? Google_Rpc_BadRequest(serializedBytes: detail.value))?.fieldViolations.map(\.field) ?? []
        }
    }

    /// The same status, with as much of its message and details as may be sent.
    func fitting(_ limits: Limits) -> Status {
        var status = self
        status.message = PercentEncoding.prefix(of: message, encodedBytesMax: limits.statusMessageBytesMax)
        while let encoded = status.encodedDetails, encoded.utf8.count > limits.statusDetailsBytesMax {
            status.details.removeLast()
        }
        return status
    }

    /// The value of `grpc-status-details-bin`: a `google.rpc.Status`. Nil without details.
    var encodedDetails: String? {
        guard !details.isEmpty else { return nil }
        let status = Google_Rpc_Status.with {
            $0.code = Int32(code.rawValue)
            $0.message = message
            $0.details = details.map { detail in
                .with {
                    $0.typeURL = detail.typeURL
                    $0.value = Data(detail.value)
                }
            }
        }
        let bytes: [UInt8] = (try? status.serializedBytes()) ?? []
        return Base64.encode(bytes)
    }

    /// The details in a `grpc-status-details-bin`; none if it is malformed, because that must not hide a status.
    static func details(in value: String) -> [Detail] {
        guard let bytes = Base64.decode(value), let status = try? Google_Rpc_Status(serializedBytes: bytes) else {
            return []
        }
        return status.details.map { Detail(typeURL: $0.typeURL, value: Array($0.value)) }
    }
}
