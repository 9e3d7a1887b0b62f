import HTTPProtocols
import InferenceMessages
import Testing

struct MessagesToolsTests {
    private let tools =
        #""tools": [{"type": "custom", "name": "look", "description": "d", "input_schema": {"type": "object"}, "#
        + #""cache_control": {}, "strict": true, "eager_input_streaming": true, "defer_loading": false, "#
        + #""allowed_callers": ["direct"]}, {"name": "wait", "input_schema": {}}]"#

    @Test func `tools are passed on`() throws {
        let use = try MessagesBody.read(tools).tools
        #expect(use.tools.map(\.name) == ["look", "wait"])
        #expect(use.tools.map(\.description_p) == ["d", ""])
        #expect(use.tools.map(\.parameters) == [#"{"type":"object"}"#, "{}"])
        #expect(use.choice == .unspecified && use.requiredTool.isEmpty && !use.hasParallelCalls)
    }

    @Test func `the choice among tools is passed on`() throws {
        func choice(_ choice: String) throws -> Hearth_V1_ToolUse {
            try MessagesBody.read(#"\#(tools), "tool_choice": \#(choice)"#).tools
        }
        #expect(try choice(#"{"type": "auto"}"#).choice == .auto)
        #expect(try choice(#"{"type": "none"}"#).choice == .none)
        let any = try choice(#"{"type": "any", "disable_parallel_tool_use": true}"#)
        #expect(any.choice == .required && any.requiredTool.isEmpty && any.hasParallelCalls && !any.parallelCalls)
        let one = try choice(#"{"type": "tool", "name": "wait", "disable_parallel_tool_use": false}"#)
        #expect(one.choice == .required && one.requiredTool == "wait" && one.parallelCalls)
    }

    @Test func `without tools there is nothing to choose`() throws {
        for choice in ["auto", "none"] {
            #expect(try !MessagesBody.read(#""tools": [], "tool_choice": {"type": "\#(choice)"}"#).hasTools)
        }
    }

    @Test(
        "tools that cannot be taken are refused by their path",
        arguments: [
            (#"{"type": "web_search_20250305", "name": "w", "max_uses": 5}"#, "tools[0].type", "web_search_20250305"),
            (#"{"type": "bash_20250124", "name": "bash"}"#, "tools[0].type", "bash_20250124"),
            (#"{"type": 1}"#, "tools[0].type", "must be \"custom\""), ("1", "tools[0]", "an object"),
            (#"{"input_schema": {}}"#, "tools[0].name", "is missing"),
            (#"{"name": "a"}"#, "tools[0].input_schema", "is missing"),
            (#"{"name": "a", "input_schema": []}"#, "tools[0].input_schema", "an object"),
            (#"{"name": "a", "input_schema": {}, "colour": 1}"#, "tools[0].colour", "not supported"),
            (
                #"{"name": "a", "input_schema": {}, "input_examples": []}"#, "tools[0].input_examples",
                "into 'description'"
            ),
            (
                #"{"name": "a", "input_schema": {}, "defer_loading": true}"#, "tools[0].defer_loading",
                "cannot be true"
            ),
            (
                #"{"name": "a", "input_schema": {}, "allowed_callers": ["code_execution_20250825"]}"#,
                "tools[0].allowed_callers", "must have \"direct\""
            ),
        ])
    func refusedTools(tool: String, param: String, text: String) throws {
        try MessagesBody.expectRefusal(MessagesBody.text(#", "tools": [\#(tool)]"#), param, text)
    }

    @Test(
        "choices that cannot be taken are refused by their path",
        arguments: [
            (#""auto""#, "tool_choice", "an object"), ("{}", "tool_choice.type", "is missing"),
            (#"{"type": "all"}"#, "tool_choice.type", "\"auto\", \"any\", \"tool\" or \"none\""),
            (#"{"type": "tool"}"#, "tool_choice.name", "is missing"),
            (#"{"type": "auto", "name": "a"}"#, "tool_choice.name", "needs the type"),
            (#"{"type": "auto", "strict": true}"#, "tool_choice.strict", "not supported"),
            (
                #"{"type": "any", "disable_parallel_tool_use": 1}"#, "tool_choice.disable_parallel_tool_use",
                "true or false"
            ),
        ])
    func refusedChoices(choice: String, param: String, text: String) throws {
        try MessagesBody.expectRefusal(MessagesBody.text(#", \#(tools), "tool_choice": \#(choice)"#), param, text)
    }

    @Test(
        "a choice that needs tools is refused without",
        arguments: [#"{"type": "any"}"#, #"{"type": "tool", "name": "a"}"#])
    func choiceWithoutTools(choice: String) throws {
        try MessagesBody.expectRefusal(
            MessagesBody.text(#", "tool_choice": \#(choice)"#), "tool_choice", "needs 'tools'")
    }
}
