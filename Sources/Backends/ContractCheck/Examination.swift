internal import BackendDriver
package import BackendIPC

/// The result of trying a candidate against every clause of the contract.
package struct Examination: Sendable {
    /// What was seen of a clause.
    package enum Verdict: Equatable, Sendable {
        case kept(String)
        /// The sentence of the first violation.
        case broken(String)
        /// Why it was not tried.
        case untried(String)
    }

    /// Why a candidate could not be examined at all: it is sound and loads nothing.
    package struct NothingLoaded: Error, CustomStringConvertible {
        package let description: String
    }

    /// Of the first process; nil: it never came.
    package private(set) var hello: Hello?
    /// The processes that were started, and the messages that they sent.
    package private(set) var processes = 0
    package private(set) var messages = 0
    private var kept: [ContractClause: String] = [:]
    private var broken: [ContractClause: String] = [:]
    private var untried: [ContractClause: String] = [:]

    package subscript(clause: ContractClause) -> Verdict {
        if let sentence = broken[clause] { return .broken(sentence) }
        if let seen = kept[clause] { return .kept(seen) }
        return .untried(untried[clause] ?? "nothing that was seen says anything about it")
    }

    /// The clauses that were broken, in their order.
    package var brokenClauses: [ContractClause] { ContractClause.allCases.filter { broken[$0] != nil } }

    /// Makes checks, each on a process of its own. Blocks. Throws when the candidate cannot be started, or loads
    /// nothing.
    package init(_ candidate: Candidate, checks: [ContractCheck] = ContractCheck.all) throws {
        for check in checks {
            let session = Session(candidate, try candidate.start(candidate.patienceMilliseconds))
            processes += 1
            let ending = try ending(of: check, in: session)
            processes += session.furtherProcesses
            messages += session.furtherMessages
            hello = hello ?? session.hello
            messages += session.driver.received.count
            // The later checks say more.
            kept.merge(session.kept) { $1 }
            untried.merge(session.untried) { $1 }
            if case .untried(let why)? = ending {
                if check.isGate { throw NothingLoaded(description: why) }
                for clause in check.clauses { untried[clause] = untried[clause] ?? why }
            }
            if case .broken(let clause, let sentence)? = ending {
                broken[clause] = broken[clause] ?? sentence
                for clause in check.clauses {
                    untried[clause] = untried[clause] ?? "the check '\(check.name)' did not come to it"
                }
                if check.isGate { break }
            }
            close(session, isSound: ending == nil)
        }
        guard messages > 0 else { return }
        for clause in [.frameLength, .oneBody, .wireFormat, .unknownFields, .messageLength] as [ContractClause] {
            kept[clause] = "in \(messages) messages of \(processes) processes"
        }
    }

    /// Closes the socket and awaits the process's end, of a process that was sound so far.
    private mutating func close(_ session: Session, isSound: Bool) {
        let driver = session.driver
        defer { driver.process?.kill() }
        guard isSound, !driver.isClosed else { return }
        driver.closeSocket()
        let patience = session.candidate.exitMilliseconds
        if (try? driver.awaitEnd(forMilliseconds: patience)) != nil {
            kept[.endOfStream] = kept[.endOfStream] ?? "its process ended when the socket was closed"
        } else {
            broken[.endOfStream] =
                broken[.endOfStream] ?? "its process runs on \(patience) ms after the socket was closed"
        }
    }

    private enum Ending {
        case untried(String)
        case broken(ContractClause, String)
    }

    /// How a check ended; nil: as it should.
    private func ending(of check: ContractCheck, in session: Session) throws -> Ending? {
        do {
            try check.run(session)
            return nil
        } catch let violation as ContractViolation {
            guard let clause = violation.clause else { throw violation }
            return .broken(clause, violation.sentence)
        } catch let broken as Broken {
            return .broken(broken.clause, broken.sentence)
        } catch let untried as Untried {
            return .untried(untried.why)
        } catch BackendDriver.Failure.fatal(let fault) where session.driver.conversation.loaded == nil {
            return .untried("it loads nothing: \(fault.message)")
        } catch let failure as BackendDriver.Failure {
            return .broken(session.expected, "\(session.doing): \(failure)\(session.remains)")
        }
    }
}
