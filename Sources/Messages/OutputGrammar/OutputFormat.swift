/// The form that a consumer wants an answer in.
package enum OutputFormat: Equatable, Sendable {
    /// JSON that a schema allows; the schema's text.
    case jsonSchema(String)
    /// What a grammar allows; GBNF.
    case grammar(String)
    /// One of these texts.
    case choice([String])
    /// A JSON object.
    case json
}

extension OutputFormat {
    /// Why a format is refused.
    package struct Refusal: Error, Equatable, Sendable {
        /// The field of `hearth.v1.GenerateRequest`.
        package let field: String
        /// Goes on after the field's name.
        package let description: String
    }

    /// The grammar of the form, in GBNF, which was checked: every text that it allows is of the form.
    package func grammar() throws(Refusal) -> String {
        switch self {
        case .grammar(let text):
            try check(text, "format.grammar")
            return text
        case .jsonSchema(let schema):
            do throws(GrammarError) {
                var converter = try SchemaConverter(schema)
                let text = try converter.grammar()
                _ = try Grammar(text.utf8)
                return text
            } catch {
                throw Refusal(field: "format.json_schema", description: error.description)
            }
        case .choice(let texts):
            guard !texts.isEmpty else {
                throw Refusal(field: "format.choice.texts", description: "is empty; give one text or more")
            }
            return try written("format.choice.texts") { writer throws(GrammarError) in try writer.choice(among: texts) }
        case .json:
            return try written("format.json") { writer throws(GrammarError) in try writer.shared(.object) }
        }
    }

    private func written(
        _ field: String, _ write: (inout GrammarWriter) throws(GrammarError) -> String
    ) throws(Refusal) -> String {
        do throws(GrammarError) {
            var writer = GrammarWriter()
            let root = try write(&writer)
            try writer.write("root", root)
            _ = try Grammar(writer.text.utf8)
            return writer.text
        } catch {
            throw Refusal(field: field, description: error.description)
        }
    }

    private func check(_ text: String, _ field: String) throws(Refusal) {
        do throws(GrammarError) {
            _ = try Grammar(text.utf8)
        } catch {
            throw Refusal(field: field, description: error.description)
        }
    }
}
