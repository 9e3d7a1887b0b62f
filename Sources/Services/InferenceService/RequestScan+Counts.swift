internal import BackendIPC
internal import OutputGrammar
internal import WireFormat

// The parts of a request that may be many: each is counted, and the first one beyond its limit ends the scan.
extension RequestScan {
    mutating func countMessage() throws(WireError) {
        guard case .messages(let count) = request.prompt else { return }
        request.prompt = .messages(count: count + 1)
        if count >= limits.messagesMax {
            try refuse(
                RequestValidation.invalid(
                    "messages", "has more than \(limits.messagesMax) messages", "1 to \(limits.messagesMax)"))
        }
        conversation.begin(message: count)
    }

    mutating func countInput(_ field: String) throws(WireError) {
        let most = ContractLimits.embedInputsMax
        embedding?.count += 1
        if embedding?.count ?? 0 > most {
            try refuse(RequestValidation.invalid(field, "has more than \(most) \(field)", "1 to \(most)"))
        }
    }

    /// An input was read to its end.
    mutating func checkInput() throws(WireError) {
        switch request.prompt {
        case nil, .text(0), .tokenIDs(0), .messages(0): try refuseEmpty("inputs")
        case .messages: embedding?.hasMessages = true
        case .text, .tokenIDs: break
        }
    }

    mutating func refuseEmpty(_ field: String) throws(WireError) {
        let allowed = field == "inputs" ? "messages, text or token_ids, not empty" : "one byte or more"
        try refuse(RequestValidation.invalid("\(field)[\((embedding?.count ?? 1) - 1)]", "is empty", allowed))
    }

    mutating func countAdapter() throws(WireError) {
        request.adapters?.append(TurnRequest.Adapter())
        if request.adapters?.count ?? 0 > limits.adaptersMax {
            try refuse(
                RequestValidation.invalid(
                    "adapters.adapters", "has more than \(limits.adaptersMax) adapters", "at most \(limits.adaptersMax)"
                ))
        }
    }

    /// Sets a field of the adapter that is being read.
    mutating func setAdapter<Value>(_ field: WritableKeyPath<TurnRequest.Adapter, Value>, _ value: Value) {
        guard let last = request.adapters?.indices.last else { return }
        request.adapters?[last][keyPath: field] = value
    }

    mutating func countSequenceBreaker(_ content: UnsafeRawBufferPointer) throws(WireError) {
        let path = "sampling.dry_sequence_breakers"
        let index = request.sampling.sequenceBreakers ?? 0
        request.sampling.sequenceBreakers = index + 1
        if index >= limits.sequenceBreakersMax {
            try refuse(
                RequestValidation.invalid(
                    path, "has more than \(limits.sequenceBreakersMax) texts", "at most \(limits.sequenceBreakersMax)"))
        }
        if !(1...limits.sequenceBreakerBytesMax).contains(content.count) || content.contains(0) {
            let zero = content.contains(0) ? ", one of them 0" : ""
            try refuse(
                RequestValidation.invalid(
                    "\(path).texts[\(index)]", "has \(content.count) bytes\(zero)",
                    "1 to \(limits.sequenceBreakerBytesMax), none of them 0"))
        }
        _ = try short(content, "\(path).texts[\(index)]", limits.sequenceBreakerBytesMax, field: 1)
    }

    mutating func addChoice(_ content: UnsafeRawBufferPointer) throws(WireError) {
        guard case .choice(var texts)? = request.format?.kind else { return }
        let path = "format.choice.texts"
        if texts.count >= limits.formatChoicesMax {
            try refuse(
                RequestValidation.invalid(
                    path, "has more than \(limits.formatChoicesMax) texts", "at most \(limits.formatChoicesMax)"))
        }
        request.format?.choiceBytes += content.count
        if content.isEmpty || request.format?.choiceBytes ?? 0 > limits.formatBytesMax {
            try refuse(
                RequestValidation.invalid(
                    "\(path)[\(texts.count)]", "has \(content.count) bytes",
                    "1 or more, and \(limits.formatBytesMax) of all texts together"))
        }
        let text = try short(content, "\(path)[\(texts.count)]", limits.formatBytesMax, field: 1)
        // The texts are not copied for each.
        request.format?.kind = nil
        texts.append(text)
        request.format?.kind = .choice(texts)
    }

    mutating func countLogitBias() throws(WireError) {
        if request.sampling.logitBias.count >= limits.logitBiasesMax {
            try refuse(
                RequestValidation.invalid(
                    "sampling.logit_bias", "has more than \(limits.logitBiasesMax) tokens",
                    "at most \(limits.logitBiasesMax)"))
        }
        request.sampling.logitBias.append(TurnRequest.LogitBias())
    }

    /// Sets a field of the entry that is being read.
    mutating func setLogitBias<Value>(_ field: WritableKeyPath<TurnRequest.LogitBias, Value>, _ value: Value) {
        guard let last = request.sampling.logitBias.indices.last else { return }
        request.sampling.logitBias[last][keyPath: field] = value
    }

    mutating func countTokenIDs(_ more: Int) throws(WireError) {
        guard case .tokenIDs(let count) = request.prompt else { return }
        request.prompt = .tokenIDs(count: count + more)
        if count + more > limits.promptTokenIDsMax {
            try refuse(
                RequestValidation.invalid(
                    "token_ids", "has more than \(limits.promptTokenIDsMax) ids", "1 to \(limits.promptTokenIDsMax)"))
        }
    }

    mutating func addStop(_ content: UnsafeRawBufferPointer) throws(WireError) {
        let index = request.stopping.stop.count
        if index >= limits.stopStringsMax {
            try refuse(
                RequestValidation.invalid(
                    "stopping.stop", "has more than \(limits.stopStringsMax) strings",
                    "at most \(limits.stopStringsMax)"))
        }
        if !(1...limits.stopStringBytesMax).contains(content.count) {
            try refuse(
                RequestValidation.invalid(
                    "stopping.stop[\(index)]", "has \(content.count) bytes", "1 to \(limits.stopStringBytesMax)"))
        }
        request.stopping.stop.append(
            try short(content, "stopping.stop[\(index)]", limits.stopStringBytesMax, field: 2))
    }

    mutating func addStopTokenID(_ id: UInt32) throws(WireError) {
        if request.stopping.stopTokenIDs.count >= limits.stopTokenIDsMax {
            try refuse(
                RequestValidation.invalid(
                    "stopping.stop_token_ids", "has more than \(limits.stopTokenIDsMax) ids",
                    "at most \(limits.stopTokenIDsMax)"))
        }
        request.stopping.stopTokenIDs.append(id)
    }

    mutating func checkOptions() throws(WireError) {
        guard
            request.optionCount > limits.backendOptionsMax || request.optionBytes > limits.backendOptionsBytesMax
        else { return }
        try refuse(
            RequestValidation.invalid(
                "backend_options", "has \(request.optionCount) entries and \(request.optionBytes) bytes, or more",
                "at most \(limits.backendOptionsMax) entries and \(limits.backendOptionsBytesMax) bytes"))
    }
}
