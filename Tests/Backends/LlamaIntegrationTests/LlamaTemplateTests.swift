import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import Testing

@Suite("How the llama backend renders conversations")
struct LlamaTemplateTests {
    private static let plain = "{% for m in messages %}[{{ m.role }}] {{ m.content }} {% endfor %}"

    private static func backend(
        _ chatTemplate: String, _ vocabulary: ChangedModel.Vocabulary = .bytePairs, addsFirstToken: Bool = false
    ) throws -> BackendDriver {
        let model = try ChangedModel(chatTemplate: chatTemplate, vocabulary, addsFirstToken: addsFirstToken)
        return try BackendDriver.llama(weights: model.path, maxSequences: 2)
    }

    private static func count(_ backend: BackendDriver, _ messages: [(Hearth_V1_Role, String)]) throws -> UInt32 {
        try backend.countTokens(.conversation(messages)).get()
    }

    @Test("What a template adds by itself is there, and a system message takes its place")
    func defaultSystemPrompt() throws {
        let backend = try Self.backend(
            """
            {% if messages[0].role != 'system' %}{{ 'one two three four ' * 10 }}{% endif %}
            """ + Self.plain)
        let without = try Self.count(backend, [(.user, "a")])
        let with = try Self.count(backend, [(.system, "b"), (.user, "a")])
        #expect(without > with)
    }

    @Test("A template that knows no system role gets the system's words from the user")
    func noSystemRole() throws {
        let backend = try Self.backend(
            """
            {% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}\
            {% endif %}{{ m.role }}: {{ m.content }} {% endfor %}
            """)
        let merged = try Self.count(backend, [(.system, "Be brief."), (.user, "Hello")])
        #expect(try merged == Self.count(backend, [(.user, "Be brief.\nHello")]))
    }

    /// A model that says "<think> capital of France</think> Paris.": two of its words have become marks.
    static func thinker(generationPrompt: String = "") throws -> BackendDriver {
        let chatTemplate = """
            {% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}\
            {% if m.role == 'assistant' and m.reasoning_content %}\
            {{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}\
            {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
            """
        let model = try ChangedModel(chatTemplate: chatTemplate) { bytes in
            for (word, mark) in [("The", "<think>"), ("Ġis", "</think>")] {
                ChangedModel.replace(ChangedModel.counted(word), with: ChangedModel.counted(mark), in: &bytes)
            }
        }
        return try BackendDriver.llama(weights: model.path, maxSequences: 2)
    }

    @Test("What the model writes between the marks of its template is reasoning, and every token counts")
    func reasoning() throws {
        let backend = try Self.thinker()
        let question = Hearth_V1_GenerateRequest.question("What is the capital of France?")
        let answer = try backend.complete(question)
        #expect(answer.reasoning == " capital of France")
        #expect(answer.text == " Paris.")
        #expect(try answer.tokens == BackendDriver.llama().complete(question).tokens, "marks are tokens, too")

        let short = try backend.complete(question.with { $0.stopping.maxTokens = 3 })
        #expect(short.reasoning == " capital of")
        #expect(short.text.isEmpty)
    }

    @Test(
        "A stop string is looked for in all that the model writes",
        arguments: [
            ("of Fr", " capital ", ""), ("</think>", " capital of France", ""), ("think> Pa", " capital of France", ""),
            ("ris.", " capital of France", " Pa"), ("nothing", " capital of France", " Paris."),
        ])
    func stopsInReasoning(stop: String, reasoning: String, text: String) throws {
        let backend = try Self.thinker()
        let question = Hearth_V1_GenerateRequest.question("What is the capital of France?")
        let answer = try backend.complete(question.with { $0.stopping.stop = ["never", stop] })
        #expect(answer.reasoning == reasoning)
        #expect(answer.text == text)
        #expect(answer.finish?.stop == (stop == "nothing" ? nil : 1))
    }

    @Test("An answer that is no answer to a conversation is not told apart")
    func rawTextHasNoReasoning() throws {
        let backend = try Self.thinker()
        let prompt = "<|im_start|>user\nWhat is the capital of France?"
        let answer = try backend.complete(.text(prompt).with { $0.stopping.maxTokens = 20 })
        #expect(answer.reasoning.isEmpty)
    }

    @Test("An answer that the assistant has begun goes on")
    func continuation() throws {
        let backend = try BackendDriver.llama()
        let whole = try backend.complete(.question("What is the capital of France?"))
        let middle = try #require(whole.text.firstIndex(of: " "))
        let begun = String(whole.text[..<middle])
        let messages = [(Hearth_V1_Role.user, "What is the capital of France?"), (.assistant, begun)]
        let rest = try backend.complete(.conversation(messages))
        #expect(begun + rest.text == whole.text)
        let question = try backend.countTokens(.question("What is the capital of France?")).get()
        let answer = try backend.countTokens(.text(begun)).get()
        #expect(try Self.count(backend, messages) == question + answer, "nothing ends the turn that was begun")
    }

    @Test(
        "A special token in a message stays text, whatever the template does with it",
        arguments: [
            "m.content", "m.content ~ '!'", "m.content | trim", "m.content | replace('x', 'y')",
            "m.content | upper | lower",
            "m.content.split('?')[0]",
            "('x' ~ m.content).rsplit('x')[-1]", "m.content.split('x') | join('x')", "[m.content] | string",
            "m.content | tojson", "m | tojson", "'{}!'.format(m.content)", "m.content[1:]",
            "'{% %}!'.replace('!', m.content)",
            "m.content | indent", "[m.content] | first", "(messages | map(attribute='content') | list) | string",
            "m.content * 2", "m.content | default('d')", "namespace(c=m.content).c", "dict(c=m.content) | string",
        ], [ChangedModel.Vocabulary.bytePairs, .sentencePiece])
    func specialTokensInMessages(expression: String, vocabulary: ChangedModel.Vocabulary) throws {
        let backend = try Self.backend("{% for m in messages %}{{ \(expression) }}{% endfor %}", vocabulary)
        let spelled = try Self.count(backend, [(.user, "x<|im_end|>Hello?")])
        let without = try Self.count(backend, [(.user, "xHello?")])
        #expect(spelled >= without + 5, "as a special token it would be one")
    }

    @Test("A mark of turns that the file does not call special stays text in a message, and works in the template")
    func unmarkedSpecialTokens() throws {
        let chatTemplate = "<|im_start|>{{ messages[0].content }}"
        let model = try ChangedModel(chatTemplate: chatTemplate) {
            ChangedModel.set(type: .userDefined, ofToken: 1_022, in: &$0)
        }
        let backend = try BackendDriver.llama(weights: model.path, maxSequences: 2)
        let marked = try Self.backend(chatTemplate)
        for words in ["Hello", "x<|im_start|>Hello? <|im_start|><|im_start|>"] {
            #expect(try Self.count(backend, [(.user, words)]) == Self.count(marked, [(.user, words)]))
        }
    }

    @Test(
        "Character by character it stays text as well", arguments: [ChangedModel.Vocabulary.bytePairs, .sentencePiece])
    func specialTokensInCharacters(vocabulary: ChangedModel.Vocabulary) throws {
        let backend = try Self.backend(
            "{% for i in range(messages[0].content | length) %}{{ messages[0].content[i] }}{% endfor %}Hello",
            vocabulary)
        #expect(try Self.count(backend, [(.user, "<|im_end|>Hello")]) >= 8)
    }

    @Test(
        "The template's own special tokens are special", arguments: [ChangedModel.Vocabulary.bytePairs, .sentencePiece])
    func specialTokensOfTemplates(vocabulary: ChangedModel.Vocabulary) throws {
        let backend = try Self.backend("<|im_start|>{{ messages[0].content }}<|im_end|>", vocabulary)
        let words = try Self.count(Self.backend("{{ messages[0].content }}", vocabulary), [(.user, "Hello")])
        #expect(try Self.count(backend, [(.user, "Hello")]) == words + 2)
    }

    @Test("The token that begins every text is there once, whether the template writes it or not")
    func firstToken() throws {
        let message = [(Hearth_V1_Role.user, "Hello")]
        let silent = try Self.backend(Self.plain, addsFirstToken: true)
        let writes = try Self.backend("{{ bos_token }}" + Self.plain, addsFirstToken: true)
        #expect(try Self.count(silent, message) == Self.count(writes, message))
        #expect(try Self.count(silent, message) == Self.count(Self.backend(Self.plain), message) + 1)
    }

    @Test("A template knows the date without a clock's file, and asks for nothing that is not there")
    func date() throws {
        let backend = try Self.backend("{{ strftime_now('%Y-%m-%d %Z') }} {{ date_string }} \(Self.plain)")
        #expect(try Self.count(backend, [(.user, "Hello")]) > 15)
    }

    @Test("What a template refuses is refused in its own words, and the next conversation is served")
    func refusal() throws {
        let backend = try Self.backend(
            """
            {% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
            {{ raise_exception('Roles must alternate') }}{% endif %}{{ m.content }} {% endfor %}
            """)
        let fault = try #require(try backend.complete(.conversation([(.user, "a"), (.user, "b")])).fault)
        #expect(fault.code == .invalidArgument)
        #expect(fault.message.contains("refuses a conversation: Roles must alternate"))
        #expect(try backend.complete(.question("Hello").endless(3)).tokens.count == 3)
    }

    @Test(
        "A template that cannot be used says why, and text is completed all the same",
        arguments: [
            (
                "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                "does not come to an end"
            ),
            ("{% for a in range(999999999) %}{% endfor %}", "takes too much memory"),
            ("{{ 'x' * 999999999999 }}", "takes too much memory"),
            ("{{ ('' | trim) * 999999999999999999 }}", "leaves out"),
            ("{% set n = namespace(x='ab') %}{% for a in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}", "memory"),
            ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself too deep"),
            ("{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}", "calls itself too deep"),
            ("{{ " + String(repeating: "(", count: 20_000), "calls itself too deep"),
            ("{{ 1" + String(repeating: "+1", count: 20_000) + " }}", "calls itself too deep"),
            ("{{ 7 is divisibleby(0) }}", "fails: divisibleby: division by zero"),
            ("{{ raise_exception('Never.') }}", "refuses a conversation: Never."),
            ("{{ 1 | frobnicate }}", "fails: Unknown (built-in) filter 'frobnicate'"),
            ("{% if %}", "fails: Unexpected token"),
            ("chatml", "leaves out what the user says"),
            (String(repeating: " ", count: 70_000), "is longer than 65536 bytes"),
        ])
    func badTemplates(chatTemplate: String, part: String) throws {
        let backend = try Self.backend(chatTemplate)
        let fault = try #require(try backend.complete(.question("Hello")).fault)
        #expect(fault.code == .unsupported)
        #expect(fault.message.contains("the chat template of \"demo\" (tokenizer.chat_template in its file)"))
        #expect(fault.message.contains(part), "\(fault.message)")
        #expect(fault.message.contains("send text"))
        #expect(try backend.complete(.text("Once upon a time").endless(3)).tokens.count == 3)
    }

    @Test("A model without a template says so")
    func noTemplate() throws {
        let model = try ChangedModel {
            ChangedModel.replace(
                ChangedModel.counted("tokenizer.chat_template"), with: ChangedModel.counted("tokenizer.chat_nothing_"),
                in: &$0)
        }
        let fault = try #require(try BackendDriver.llama(weights: model.path).complete(.question("Hello")).fault)
        #expect(fault.code == .unsupported)
        #expect(fault.message.contains("has no chat template; send text"))
    }

    @Test("While a conversation of thousands of messages is rendered, pings are answered and others get their tokens")
    func longConversations() throws {
        let model = try ChangedModel { ChangedModel.set("llama.context_length", to: UInt32(32_768), in: &$0) }
        let backend = try BackendDriver.llama(weights: model.path, contextTokens: 32_768, maxSequences: 2)
        let messages = (0..<10_000).map { ($0 % 2 == 0 ? Hearth_V1_Role.user : .assistant, "a") }
        try backend.start(0, .conversation(messages))
        try backend.start(1, .text("Once upon a time").endless(3))
        #expect(try backend.finish(1).tokens.count == 3)
        #expect(backend.completions[0]?.finish == nil)
        _ = try backend.ping()
        #expect(try backend.finish(0).fault?.code == .contextOverflow)
    }
}
