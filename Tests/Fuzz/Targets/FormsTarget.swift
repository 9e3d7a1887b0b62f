import OutputGrammar

/// The form that a consumer wants: a byte that says its kind, and its text; of a choice one text a line.
enum FormsTarget {
    static var seeds: [[UInt8]] {
        let schemas = [
            ##"{"properties":{"a":{"type":"integer","minimum":-3,"maximum":1e2},"b\"":{"$ref":"#"}},"required":["a"]}"##,
            #"{"anyOf":[{"enum":["x","xy",null,[1,{}]]},{"pattern":"^(a|[^b-d]\\d{2,3})+$"}],"$defs":{"n":true}}"#,
            ##"{"allOf":[{"$ref":"#/$defs/l"}],"$defs":{"l":{"items":{"$ref":"#/$defs/l"},"prefixItems":[{"format":"date"}]}}}"##,
            #"{"oneOf":[{"type":"null"},{"const":1.5}],"additionalProperties":{"exclusiveMinimum":0.25},"maxProperties":3}"#,
            #"{"properties":{"ab":{},"a":{"maxLength":5}},"additionalProperties":{"type":["string","number"]}}"#,
        ]
        let grammars = [
            "root ::= \"a\" [^x-z\\n] ( b | \"\\u00e9\" )* # all\nb ::= . {1,3} root? | \"\"",
            "root ::= s{2,} | (\"x\" s)+\ns ::= [\\x41-\\]] \n  | \"é\"",
        ]
        return schemas.map { [0] + Array($0.utf8) } + grammars.map { [1] + Array($0.utf8) }
            + [[2] + Array("yes\nno\nnone\nné".utf8)]
    }

    static func run(_ input: [UInt8]) throws {
        let text = String(decoding: input.dropFirst(), as: UTF8.self)
        let lines = text.split(separator: "\n").map(String.init)
        let form: OutputFormat =
            switch input.first ?? 0 {
            case 0: .jsonSchema(text)
            case 1: .grammar(text)
            default: .choice(lines)
            }
        let made: String
        do throws(OutputFormat.Refusal) {
            made = try form.grammar()
        } catch {
            return try promise(!error.field.isEmpty && !error.description.isEmpty, "a refusal says why")
        }
        let grammar: Grammar
        do throws(GrammarError) {
            grammar = try Grammar(made.utf8)
        } catch {
            throw BrokenPromise(description: "a form became a grammar that is none: \(error.description)")
        }
        guard case .choice = form else { return }
        for line in lines { try promise(GrammarWalk.accepts(line, grammar), "each choice is one") }
        try promise(!GrammarWalk.accepts(lines.joined(separator: "\n") + "\n", grammar), "nothing else is one")
    }
}
