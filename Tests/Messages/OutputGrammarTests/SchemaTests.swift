import OutputGrammar
import Testing

struct SchemaTests {
    private func grammar(_ schema: String) throws -> Grammar {
        try Grammar(OutputFormat.jsonSchema(schema).grammar().utf8)
    }

    @Test(
        "texts are held to a schema",
        arguments: [
            ("true", ["1", "{\"a\": [null]}", "\"\\u00e9\\n\""], ["", "{", "\"\\ud800\"", "01", "nul"]),
            ("{\"type\": \"string\"}", ["\"\"", "\"é\""], ["1", "\"\u{1}\""]),
            ("{\"type\": [\"null\", \"boolean\"]}", ["null", "true"], ["0"]),
            ("{\"type\": \"integer\"}", ["0", "-12"], ["1.0", "1e2", "01"]),
            ("{\"type\": \"number\"}", ["0.5", "-1e-3"], [".5", "1."]),
            (
                "{\"enum\": [\"a\", \"ab\", 1, null, {\"x\": []}]}", ["\"a\"", "\"ab\"", "1", "null", "{\"x\":[]}"],
                ["\"b\"", "\"abc\"", "2"]
            ),
            ("{\"const\": \"\\u0001\\\"\"}", ["\"\\u0001\\\"\""], ["\"\""]),
            ("{\"type\": \"string\", \"enum\": [\"a\", 1, \"bcd\"], \"maxLength\": 2}", ["\"a\""], ["1", "\"bcd\""]),
            (
                "{\"type\": \"integer\", \"minimum\": -5, \"exclusiveMaximum\": 120}",
                ["-5", "-1", "0", "7", "99", "119"], ["-6", "120", "200", "1000", "-10"]
            ),
            (
                "{\"type\": \"integer\", \"minimum\": 17, \"maximum\": 4321}",
                ["17", "20", "99", "100", "999", "1000", "4321"], ["16", "4322", "5000", "10000", "1", "-17"]
            ),
            (
                "{\"minimum\": 0.25, \"maximum\": 1.5}", ["0.25", "0.3", "0.999", "1", "1.0", "1.5", "1.49"],
                ["0", "0.2", "0.249", "1.51", "2", "-0.5"]
            ),
            (
                "{\"exclusiveMinimum\": 0, \"exclusiveMaximum\": 1}", ["0.1", "0.0001", "0.99"],
                ["0", "0.0", "1", "1.0", "-0.1"]
            ),
            (
                "{\"exclusiveMinimum\": -2.5, \"maximum\": -0.5}", ["-2.4", "-2.49", "-1", "-0.5", "-0.51"],
                ["-2.5", "-2.6", "-0.4", "0", "-3"]
            ),
            (
                "{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}", ["\"ab\"", "\"é\\n\\u00e9\""],
                ["\"a\"", "\"abcd\""]
            ),
            (
                "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}", ["[]", "[1]", "[1, 2,\n  3]"],
                ["[\"a\"]", "[1,]"]
            ),
            (
                "{\"items\": {\"const\": 1}, \"minItems\": 2, \"maxItems\": 3}", ["[1,1]", "[1, 1, 1]"],
                ["[1]", "[1,1,1,1]"]
            ),
            ("{\"items\": {\"const\": 1}, \"maxItems\": 1}", ["[]", "[1]"], ["[1,1]"]),
            ("{\"items\": {\"const\": 1}, \"maxItems\": 0}", ["[]"], ["[1]"]),
            (
                "{\"prefixItems\": [{\"const\": 1}, {\"const\": 2}], \"items\": {\"const\": 3}, \"minItems\": 1}",
                ["[1]", "[1,2]", "[1,2,3,3]"], ["[]", "[2]", "[1,3]"]
            ),
            ("{\"prefixItems\": [{\"const\": 1}, {\"const\": 2}], \"minItems\": 2}", ["[1,2]"], ["[1]", "[1,2,3]"]),
            (
                "{\"properties\": {\"a\": {\"const\": 1}, \"b\": {\"const\": 2}, \"c\": {\"const\": 3}}, \"required\": [\"b\"]}",
                ["{\"b\":2}", "{\"a\": 1, \"b\": 2}", "{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":2,\"c\":3}"],
                ["{}", "{\"a\":1}", "{\"a\":1,\"c\":3}", "{\"b\":2,}", "{,\"b\":2}", "{\"b\":2,\"d\":1}"]
            ),
            (
                "{\"properties\": {\"ab\": {\"const\": 1}}, \"additionalProperties\": {\"const\": 2}}",
                ["{}", "{\"ab\":1}", "{\"ab\":1,\"a\":2}", "{\"abc\":2,\"\":2,\"x\":2}", "{\"b\":2}"],
                ["{\"ab\":2}", "{\"a\":1}", "{\"a\\u0062\":2}"]
            ),
            (
                "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"null\"}, \"maxProperties\": 2}",
                ["{}", "{\"a\":null,\"b\":null}"], ["{\"a\":1}", "{\"a\":null,\"b\":null,\"c\":null}"]
            ),
            ("{\"type\": \"object\"}", ["{}", "{\"a\":{\"b\":1}}"], ["[]"]),
            (
                "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"integer\"}], \"minimum\": 3}", ["\"\"", "3"],
                ["2", "null"]
            ),
            (
                "{\"type\": \"object\", \"properties\": {\"a\": true, \"b\": true}, \"anyOf\": [{\"required\": [\"a\"]}, {\"required\": [\"b\"]}]}",
                ["{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":1}"], ["{}"]
            ),
            (
                "{\"oneOf\": [{\"type\": \"null\"}, {\"properties\": {\"k\": {\"const\": \"x\"}}, \"required\": [\"k\"], \"type\": \"object\"}, {\"properties\": {\"k\": {\"const\": \"y\"}, \"v\": {\"type\": \"null\"}}, \"required\": [\"k\"], \"type\": \"object\"}]}",
                ["null", "{\"k\":\"x\"}", "{\"k\":\"y\",\"v\":null}"], ["{\"k\":\"z\"}", "{\"k\":\"x\",\"v\":null}"]
            ),
            (
                "{\"allOf\": [{\"properties\": {\"a\": {\"type\": \"integer\"}}}, {\"properties\": {\"a\": {\"minimum\": 5}}, \"required\": [\"a\"]}]}",
                ["{\"a\":5}"], ["{\"a\":4}", "{}", "{\"a\":\"\"}"]
            ),
            (
                "{\"$ref\": \"#/$defs/t~1~0\", \"$defs\": {\"t/~\": {\"properties\": {\"n\": {\"$ref\": \"#\"}}, \"additionalProperties\": false}}}",
                ["{}", "{\"n\":{\"n\":{}}}"], ["{\"n\":1}", "{\"m\":1}"]
            ),
            (
                "{\"type\": \"string\", \"pattern\": \"^[A-Z]{2,3}-\\\\d+$\"}", ["\"AB-1\"", "\"ABC-12\""],
                ["\"A-1\"", "\"AB-\"", "\"ABCD-1\""]
            ),
            ("{\"type\": \"string\", \"pattern\": \"(foo|b.r)+\"}", ["\"xfooy\"", "\"bar\""], ["\"fo\"", "\"\""]),
            (
                "{\"type\": \"string\", \"pattern\": \"^\\\"[^a]\\\\\\\\$\"}", ["\"\\\"b\\\\\""],
                ["\"\\\"a\\\\\"", "\"b\""]
            ),
            (
                "{\"type\": \"string\", \"format\": \"date\"}", ["\"2024-01-31\"", "\"2024-12-01\""],
                ["\"2024-02-30\"", "\"2024-13-01\"", "\"24-1-1\""]
            ),
            (
                "{\"type\": \"string\", \"format\": \"ipv4\"}", ["\"0.10.255.199\""],
                ["\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""]
            ),
        ])
    func holding(schema: String, good: [String], bad: [String]) throws {
        let grammar = try grammar(schema)
        for text in good { #expect(GrammarWalk.accepts(text, grammar), "\(text)") }
        for text in bad { #expect(!GrammarWalk.accepts(text, grammar), "\(text)") }
    }

    @Test(
        "what cannot be held is refused with its place and its keyword",
        arguments: [
            ("", "line 1: the text ends"), ("[]", "must be an object, true or false"),
            ("false", "allows no value at all"),
            ("{\"properties\": {\"a/b\": {\"multipleOf\": 3}}}", "/properties/a~1b/multipleOf cannot be held"),
            ("{\"items\": {\"uniqueItems\": true}}", "/items/uniqueItems cannot be held"),
            ("{\"minLenght\": 3}", "/minLenght is no keyword that is known (did you mean 'minLength'?)"),
            ("{\"not\": {}}", "/not cannot"), ("{\"if\": {}, \"then\": {}}", "/if cannot"),
            ("{\"type\": \"string\", \"required\": true}", "/required must be a list"),
            ("{\"exclusiveMinimum\": true}", "/exclusiveMinimum must be a number"),
            ("{\"type\": \"text\"}", "/type names the string \"text\""), ("{\"items\": []}", "name it prefixItems"),
            (
                "{\"$ref\": \"#/$defs/a\", \"$defs\": {\"a\": {\"$ref\": \"#/$defs/b\"}, \"b\": {\"$ref\": \"#/$defs/a\"}}}",
                "leads back to itself"
            ),
            (
                "{\"$defs\": {\"a\": {\"anyOf\": [{\"$ref\": \"#/$defs/a\"}, {\"type\": \"null\"}]}}, \"$ref\": \"#/$defs/a\"}",
                "leads back to itself"
            ),
            ("{\"$ref\": \"#/nowhere\"}", "which is not there"),
            ("{\"$ref\": \"https://example.com/a\"}", "another document"),
            (
                "{\"type\": \"object\", \"properties\": {\"a\": {\"$ref\": \"#\"}}, \"required\": [\"a\"]}",
                "no text that ever ends"
            ),
            ("{\"oneOf\": [{\"type\": \"integer\"}, {\"type\": \"number\"}]}", "might both allow a value"),
            ("{\"type\": \"string\", \"maxLength\": 5000}", "/maxLength is more than 2000"),
            ("{\"type\": \"string\", \"pattern\": \"(?=a)b\"}", "/pattern holds a group that looks around"),
            ("{\"type\": \"string\", \"pattern\": \"a\\\\bc\"}", "/pattern holds"),
            ("{\"type\": \"string\", \"pattern\": \"a\", \"minLength\": 2}", "/pattern stands beside minLength"),
            ("{\"type\": \"string\", \"format\": \"regex\"}", "/format is \"regex\", which cannot be held"),
            ("{\"properties\": {\"a\": {}}, \"minProperties\": 1}", "/minProperties can be held only where"),
            ("{\"type\": \"integer\", \"minimum\": 5, \"maximum\": 4}", "allows no value at all"),
            ("{\"enum\": [{}], \"required\": [\"a\"]}", "/required stands beside enum"),
            ("{\"properties\": {\"a\": {\"$id\": \"x\"}}}", "/properties/a/$id stands within"),
            (String(repeating: "{\"items\":", count: 10_000), "nested deeper than 64"),
            ("{\"a\": 1, \"a\": 2}", "stands twice"),
        ])
    func refusals(schema: String, says: String) {
        do {
            let text = try OutputFormat.jsonSchema(schema).grammar()
            Issue.record("taken: \(text)")
        } catch {
            #expect(error.field == "format.json_schema")
            #expect(error.description.contains(says), "\(error.description)")
        }
    }

    @Test func `alternatives that multiply are refused`() {
        let alternatives = "{\"anyOf\": [{\"minLength\": 1}, {\"minLength\": 2}, {\"minLength\": 3}]}"
        let schema = "{\"allOf\": [\(Array(repeating: alternatives, count: 40).joined(separator: ","))]}"
        #expect(throws: OutputFormat.Refusal.self) { try OutputFormat.jsonSchema(schema).grammar() }
    }

    @Test func `a choice is among its texts only`() throws {
        let texts = ["yes", "no", "nope", "é\"\n", "not"]
        let grammar = try Grammar(OutputFormat.choice(texts).grammar().utf8)
        for text in texts { #expect(GrammarWalk.accepts(text, grammar)) }
        for text in ["", "n", "yesno", "nopes", "é"] { #expect(!GrammarWalk.accepts(text, grammar)) }
    }

    @Test func `some JSON is an object`() throws {
        let grammar = try Grammar(OutputFormat.json.grammar().utf8)
        for text in ["{}", "{\"a\": [1, true, {\"b\": \"\\\"\"}]}"] { #expect(GrammarWalk.accepts(text, grammar)) }
        for text in ["[]", "1", "{\"a\"}", "{\"a\":}", "{a: 1}"] { #expect(!GrammarWalk.accepts(text, grammar)) }
    }
}
