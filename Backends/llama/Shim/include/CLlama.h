// llama.cpp as the llama backend needs it: a model with one context and one batch, and a second one that drafts tokens for
// it. No C++ exception leaves these functions; one thread calls them all, but for tokenize and tokenize_chat, which one other thread may call meanwhile.
#ifndef HEARTH_CLLAMA_H
#define HEARTH_CLLAMA_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A model with its context; made by `hearth_llama_load`, released by `hearth_llama_free`.
typedef struct hearth_llama hearth_llama;

/// The messages and tools of a prompt; made by `hearth_llama_conversation_new`.
typedef struct hearth_llama_conversation hearth_llama_conversation;

/// One answer to a conversation, told apart while it comes; made by `hearth_llama_answer_new`.
typedef struct hearth_llama_answer hearth_llama_answer;

/// The sampler of one sequence; made by `hearth_llama_sampler_new`.
typedef struct hearth_llama_sampler hearth_llama_sampler;

/// How the vectors of a text's tokens become one.
typedef enum hearth_llama_pooling {
    /// The model continues text.
    HEARTH_LLAMA_NO_POOLING,
    HEARTH_LLAMA_MEAN,
    /// The first token's.
    HEARTH_LLAMA_FIRST,
    HEARTH_LLAMA_LAST,
    /// It makes no vectors, but a score of a query and a document.
    HEARTH_LLAMA_RANK,
} hearth_llama_pooling;

/// Facts about a model, from its file.
typedef struct hearth_llama_facts {
    /// Tokens of prompt and completion that it was trained on.
    uint32_t context_tokens;
    /// Token ids are below this.
    uint32_t vocabulary;
    /// No token's text is longer.
    uint32_t longest_piece_bytes;
    /// Size of all its weights.
    uint64_t weights_bytes;
    /// The number of them.
    uint64_t parameters;
    /// Whether its vocabulary splits text before it merges the pieces (BPE); `tokenizer.ggml.pre` names how.
    bool splits_text;
    /// Whether it has a chat template that works.
    bool has_chat_template;
    /// Whether a sequence can forget its last tokens alone; a recurrent state cannot.
    bool forgets_last;
    /// A model with any of them continues no text.
    hearth_llama_pooling pooling;
    /// The numbers of a vector.
    uint32_t embedding_numbers;
    /// The token that the vocabulary ends texts with; negative where it ends them with none.
    int32_t end_token;
} hearth_llama_facts;

/// How tokens are chosen, applied in this order: biases, penalties over the last `penalty_window` tokens, DRY over the last
/// `dry_window`, top_n_sigma, top_k, typical_p, top_p, min_p, XTC, temperature.
typedef struct hearth_llama_sampling {
    float repetition_penalty;
    float frequency_penalty;
    float presence_penalty;
    int32_t penalty_window;
    /// 0: DRY is off.
    float dry_multiplier;
    float dry_base;
    int32_t dry_allowed_length;
    int32_t dry_window;
    float top_n_sigma;
    int32_t top_k;
    float typical_p;
    float top_p;
    float min_p;
    float xtc_probability;
    float xtc_threshold;
    /// 0 picks the likeliest token that DRY leaves.
    float temperature;
    uint32_t seed;
} hearth_llama_sampling;

/// What is added to the logit of a token of the vocabulary.
typedef struct hearth_llama_bias {
    int32_t token;
    float bias;
} hearth_llama_bias;

/// What is chosen among, beside the numbers of `hearth_llama_sampling`. The arrays are read during the call only.
typedef struct hearth_llama_choices {
    const hearth_llama_bias *biases;
    size_t bias_count;
    /// Texts that end a repetition for DRY, NUL-terminated.
    const char *const *breakers;
    size_t breaker_count;
    /// So many tokens come before one that ends a turn, or one of `ends`, is chosen.
    uint32_t tokens_min;
    const uint32_t *ends;
    size_t end_count;
} hearth_llama_choices;

/// A token, and the natural logarithm of its probability.
typedef struct hearth_llama_likely {
    int32_t token;
    float logprob;
} hearth_llama_likely;

/// Text, not NUL-terminated; of no bytes it may be NULL.
typedef struct hearth_llama_text {
    const char *bytes;
    size_t count;
} hearth_llama_text;

/// Whether the model may call tools, and has to.
typedef enum hearth_llama_tool_choice {
    HEARTH_LLAMA_TOOLS_AUTO,
    HEARTH_LLAMA_TOOLS_NONE,
    HEARTH_LLAMA_TOOLS_REQUIRED,
} hearth_llama_tool_choice;

enum {
    /// The cache has no room for the batch; none of it was kept.
    HEARTH_LLAMA_NO_ROOM = 1,
    /// An exception was caught, or a call failed; it was written to standard error.
    HEARTH_LLAMA_FAILED = INT32_MIN,
    /// `goes_on` returned false; which part of the batch was computed is unknown.
    HEARTH_LLAMA_CUT = 2,
    /// The logits contain a NaN or another unusable value.
    HEARTH_LLAMA_NOT_A_NUMBER = -2,
    /// The chat template did not render the conversation; `hearth_llama_first_error` completes "the chat template ...".
    HEARTH_LLAMA_TEMPLATE_FAILED = INT32_MIN + 1,
    /// `takes` returned false.
    HEARTH_LLAMA_NOT_TAKEN = INT32_MIN + 2,
    /// The library does not take the grammar; `hearth_llama_first_error` may say why.
    HEARTH_LLAMA_GRAMMAR_REFUSED = INT32_MIN + 3,
    /// The given text is no beginning of what the grammar allows.
    HEARTH_LLAMA_GRAMMAR_UNFIT = INT32_MIN + 4,
    /// The grammar takes more time or memory than it may.
    HEARTH_LLAMA_GRAMMAR_EXCEEDS = INT32_MIN + 5,
    /// No token of the vocabulary goes on with the text as the grammar wants it.
    HEARTH_LLAMA_GRAMMAR_STUCK = INT32_MIN + 6,
    /// The text is whole, and nothing can follow: the turn is over.
    HEARTH_LLAMA_GRAMMAR_OVER = INT32_MIN + 7,
};

/// The processors that the libraries were compiled for, as `Scripts/build-llama` names them.
const char *hearth_llama_level(void);

/// A feature that the libraries were compiled for and this processor lacks, or NULL. If there is one, only these three
/// functions and `hearth_llama_begin` may be called.
const char *hearth_llama_missing_feature(void);

/// "name/version" of the library, and the processors that it was compiled for.
const char *hearth_llama_version(void);

/// Called once, before any other function but these. `gave_up` is called with the reason when the library cannot go on,
/// on any thread; when it returns, the process is aborted.
void hearth_llama_begin(void (*gave_up)(const char *message));

/// The first error that the library wrote, or threw, on this thread since `open`, `inspect`, `load`, `load_adapter`, `load_draft`,
/// `prepare`, `decode` or `tokenize` began; empty when there was none.
void hearth_llama_first_error(char *text, size_t capacity);

/// Facts from the header of a GGUF file.
typedef struct hearth_llama_file_facts {
    /// The size of the file.
    uint64_t bytes;
    /// Whether the header could be read, so that the following fields are set.
    bool has_header;
    /// The size that the file must have to hold its tensors.
    uint64_t wanted_bytes;
    /// The number of files that the model is split into; 1 when it is whole.
    uint32_t parts;
    /// The number of this file among them, from 0.
    uint32_t part;
    /// The tensors in this file, and those of the whole model.
    uint64_t tensors, all_tensors;
    /// Whether it is an adapter (`general.type`), and no model.
    bool is_adapter;
    /// `general.architecture`; cut, and empty where there is none.
    char architecture[64];
} hearth_llama_file_facts;

/// Opens the weights, or the next of their parts, behind a descriptor, which it takes over, and reads their first bytes.
/// Returns the number of bytes read; 0 also when they cannot be read, for the reason in `hearth_llama_first_error`.
size_t hearth_llama_open(int descriptor, uint8_t *first, size_t capacity);

/// Reads the header of a file that was opened; the first is 0.
hearth_llama_file_facts hearth_llama_inspect(size_t part);

/// Opens the file of an adapter, or of the next one, behind a descriptor, which it takes over. Otherwise as
/// `hearth_llama_open`.
size_t hearth_llama_open_adapter(int descriptor, uint8_t *first, size_t capacity);

/// As `hearth_llama_inspect`, of an adapter's file that was opened; the first is 0.
hearth_llama_file_facts hearth_llama_inspect_adapter(size_t adapter);

/// How weights are loaded.
typedef enum hearth_llama_loading {
    /// Not loaded: the model and its contexts report the memory that they would need, and cannot compute. The files
    /// stay open.
    HEARTH_LLAMA_MEASURED,
    /// Mapped as they are; the files are closed.
    HEARTH_LLAMA_MAPPED,
    /// Mapped, but for those that have quicker kernels in another order: they are copied. The files are closed.
    HEARTH_LLAMA_REORDERED,
} hearth_llama_loading;

/// Loads the weights that were opened. NULL when they cannot be loaded. `chat_template` replaces that of the weights where
/// it is not NULL. `progress` gets fractions from 0 to 1.
hearth_llama *hearth_llama_load(hearth_llama_loading loading, const char *chat_template,
                                void (*progress)(float fraction, void *context), void *context);

/// Loads the next of the adapters that were opened, the first one first, before `hearth_llama_prepare`. False when it
/// cannot be loaded, or does not fit the model, for the reason in `hearth_llama_first_error`. Unless the model is only
/// measured, its file is closed.
bool hearth_llama_load_adapter(hearth_llama *llama);

/// An adapter that is applied.
typedef struct hearth_llama_applied {
    /// Its number in the order of loading, from 0.
    size_t adapter;
    /// How strongly.
    float scale;
} hearth_llama_applied;

/// Has all that is decoded from now on computed with these adapters, and no others. False when llama.cpp refuses. Where
/// they are others than before, the next decode prepares its graphs anew.
bool hearth_llama_apply(hearth_llama *llama, const hearth_llama_applied *applied, size_t count);

/// Opens the file of the draft model behind a descriptor, which it takes over. Otherwise as `hearth_llama_open`.
size_t hearth_llama_open_draft(int descriptor, uint8_t *first, size_t capacity);

/// As `hearth_llama_inspect`, of the draft model's file.
hearth_llama_file_facts hearth_llama_inspect_draft(void);

/// Loads the draft model that was opened: a model with a context of its own, and without a chat template. NULL when it
/// cannot be loaded, for the reason in `hearth_llama_first_error`. Unless it is only measured, its file is closed.
hearth_llama *hearth_llama_load_draft(hearth_llama_loading loading);

/// Writes why a draft model's tokens are not the model's, to complete "its vocabulary ..."; returns the length, 0 when they
/// are. Vocabularies may differ in the texts of special tokens, and by up to 128 tokens at the end, which are padding.
size_t hearth_llama_vocabulary_flaw(const hearth_llama *llama, const hearth_llama *draft, char *text, size_t capacity);

/// A guess at the next token.
typedef struct hearth_llama_guess {
    /// Negative when the logits contain a NaN or another unusable value.
    int32_t token;
    /// How likely the guessing model finds it, from 0 to 1.
    float chance;
} hearth_llama_guess;

/// The likeliest token of those below `bound` after the batch's token `index`, which had `wants_logits`.
hearth_llama_guess hearth_llama_likeliest(const hearth_llama *draft, int32_t index, int32_t bound);

void hearth_llama_free(hearth_llama *llama);

hearth_llama_facts hearth_llama_get_facts(const hearth_llama *llama);

/// The sampling settings of the model's authors, with sensible values for those that they left open. No seed.
hearth_llama_sampling hearth_llama_default_sampling(const hearth_llama *llama);

/// Writes the model's metadata under a key, as text of at most `capacity` - 1 bytes; returns its length, 0 when there
/// is none.
size_t hearth_llama_metadata(const hearth_llama *llama, const char *key, char *text, size_t capacity);

/// Writes how most weights are stored, such as "Q4_K - Medium", as text of at most `capacity` - 1 bytes; returns its
/// length.
size_t hearth_llama_quantisation(const hearth_llama *llama, char *text, size_t capacity);

/// Whether this much more memory can be had within the limits of the process. Touches no page.
bool hearth_llama_has_room(uint64_t bytes);

/// RLIMIT_DATA, 0 when there is none.
uint64_t hearth_llama_memory_limit(void);

/// The memory that the stack of a new thread takes (pthread_create(3)).
uint64_t hearth_llama_stack_bytes(void);

/// The settings of a context.
typedef struct hearth_llama_context_settings {
    /// The caches of all sequences together hold this many tokens.
    uint32_t cells;
    /// At most 256.
    uint32_t sequences;
    uint32_t batch_tokens;
    /// The most tokens of a batch with logits, beside one for each sequence.
    uint32_t drafted_tokens;
    uint32_t threads;
    /// Whether each sequence has a cache of its own. Attention then reads no other's tokens, and a sequence's results
    /// do not depend on its neighbours; but only sequences with neighbouring numbers are computed in one pass over the
    /// weights.
    bool separate_caches;
    /// How keys and values are kept, as llama.cpp names it: "f16", "q8_0". NULL: "f16".
    const char *cache_type;
    /// Whether it computes vectors or scores: every token of a batch then has `wants_logits`.
    bool embeds;
} hearth_llama_context_settings;

/// Makes the context. False when there is no memory for it; may be called again with less, or anew.
bool hearth_llama_prepare(hearth_llama *llama, hearth_llama_context_settings settings);

/// The memory that a model and its context take, or would take.
typedef struct hearth_llama_needs {
    /// Weights that are copied into another order, if they are.
    uint64_t reordered_weights_bytes;
    /// The caches and the buffers for computing.
    uint64_t context_bytes;
} hearth_llama_needs;

/// Called after `hearth_llama_prepare`.
hearth_llama_needs hearth_llama_get_needs(const hearth_llama *llama);

/// Token ids of plain text; nothing in it is taken for a special token. `adds_special`: with those that the vocabulary
/// begins and ends a text with. Writes at most `capacity` ids. Returns their
/// number, or minus that number when they do not fit, or HEARTH_LLAMA_FAILED.
int32_t hearth_llama_tokenize(const hearth_llama *llama, const char *text, size_t bytes, bool adds_special,
                              int32_t *tokens, int32_t capacity);

/// Makes a conversation without messages; NULL when there is no memory. The functions that add to it copy, and return false
/// when there is none.
hearth_llama_conversation *hearth_llama_conversation_new(void);
void hearth_llama_conversation_free(hearth_llama_conversation *conversation);

/// Adds a message. The role is NUL-terminated; other texts may be empty. `call_id`: of a tool's result, the call that it
/// answers.
bool hearth_llama_conversation_add_message(hearth_llama_conversation *conversation, const char *role,
                                           hearth_llama_text content, hearth_llama_text name,
                                           hearth_llama_text call_id, hearth_llama_text reasoning);

/// Adds a call to the last message, of which there must be one. `arguments`: the text of a JSON object.
bool hearth_llama_conversation_add_call(hearth_llama_conversation *conversation, hearth_llama_text id,
                                        hearth_llama_text name, hearth_llama_text arguments);

/// Adds a tool that the model is told of. `parameters`: the text of a JSON object.
bool hearth_llama_conversation_add_tool(hearth_llama_conversation *conversation, hearth_llama_text name,
                                        hearth_llama_text description, hearth_llama_text parameters);

/// Says whether a tool is called; AUTO before. `required`: the one; empty: any.
bool hearth_llama_conversation_choose(hearth_llama_conversation *conversation, hearth_llama_tool_choice choice,
                                      hearth_llama_text required);

/// Says whether several tools may be called at once; before, it is as the template has it.
void hearth_llama_conversation_set_parallel(hearth_llama_conversation *conversation, bool may_call_several);

/// Token ids of a conversation in the model's own template, ready for the model's answer, or for the continuation of
/// the last message if that is the assistant's. Nothing that a consumer wrote is taken for a special token. `takes` is
/// called with every run of text between special tokens, before it is tokenized. Returns as `hearth_llama_tokenize`, or
/// HEARTH_LLAMA_TEMPLATE_FAILED, or HEARTH_LLAMA_NOT_TAKEN.
int32_t hearth_llama_tokenize_chat(const hearth_llama *llama, const hearth_llama_conversation *conversation,
                                   bool (*takes)(const char *text, size_t bytes, void *context), void *context,
                                   int32_t *tokens, int32_t capacity);

/// Writes the text that a conversation becomes in the model's own template, special tokens spelt out. Returns as
/// `hearth_llama_tokenize_chat`, in bytes.
int32_t hearth_llama_render_chat(const hearth_llama *llama, const hearth_llama_conversation *conversation, char *text,
                                 int32_t capacity);

/// Writes the text of a token, also of a special one; returns its length, at most `capacity`.
int32_t hearth_llama_token_text(const hearth_llama *llama, int32_t token, char *text, int32_t capacity);

/// Writes why the file's chat template cannot be used, to complete "the chat template ..."; returns the length, 0 when
/// it can be used, or there is none.
size_t hearth_llama_template_flaw(const hearth_llama *llama, char *text, size_t capacity);

/// Joins a thread that has ended; false while it runs. glibc's pthread_tryjoin_np(3), which Swift does not see.
bool hearth_llama_join(pthread_t thread);

/// Whether the token ends the model's turn.
bool hearth_llama_ends_turn(const hearth_llama *llama, int32_t token);

/// Writes the text of a token, possibly part of a UTF-8 scalar; none for a special token, unless this answer is told apart by
/// it; NULL: no answer is. Returns its length, at most `capacity`.
int32_t hearth_llama_piece(const hearth_llama *llama, const hearth_llama_answer *answer, int32_t token, char *text,
                           int32_t capacity);

/// Begins the answer to a conversation. Writes NULL when there is nothing to tell apart in it. Returns 0, or
/// HEARTH_LLAMA_TEMPLATE_FAILED, or HEARTH_LLAMA_FAILED.
int32_t hearth_llama_answer_new(const hearth_llama *llama, const hearth_llama_conversation *conversation,
                                hearth_llama_answer **answer);

void hearth_llama_answer_free(hearth_llama_answer *answer);

/// The number of texts that end this answer, although they are no special tokens, and one of them, NUL-terminated.
size_t hearth_llama_answer_end_count(const hearth_llama_answer *answer);
const char *hearth_llama_answer_end(const hearth_llama_answer *answer, size_t index);

/// Adds text, marks included.
void hearth_llama_answer_append(hearth_llama_answer *answer, const char *text, size_t bytes);

/// A piece of a tool call. Id and name are in the first piece of a call only; the id is empty where the model gave none.
typedef struct hearth_llama_call_piece {
    size_t index;
    hearth_llama_text id;
    hearth_llama_text name;
    /// More of the text of a JSON object.
    hearth_llama_text arguments;
} hearth_llama_call_piece;

/// What has come of an answer since it was last looked at; valid until it is looked at again.
typedef struct hearth_llama_answer_parts {
    hearth_llama_text reasoning;
    hearth_llama_text text;
    const hearth_llama_call_piece *calls;
    size_t call_count;
} hearth_llama_answer_parts;

/// Looks at the whole answer so far, which takes time in proportion to its length: 40 ns a byte. What may be the beginning of
/// a mark is held back, and left out at the end. `is_whole`: nothing more will come.
hearth_llama_answer_parts hearth_llama_answer_look(hearth_llama_answer *answer, bool is_whole);

/// Empties the batch.
void hearth_llama_batch_clear(hearth_llama *llama);

/// Adds one token of one sequence to the batch; returns its index in the batch, or -1 when the batch is full.
int32_t hearth_llama_batch_add(hearth_llama *llama, int32_t token, int32_t position, int32_t sequence,
                               bool wants_logits);

/// Computes the batch. Returns 0, HEARTH_LLAMA_NO_ROOM, HEARTH_LLAMA_CUT, or another number when it failed. `goes_on`
/// is called now and then, on this thread; when it returns false, the computation ends.
int32_t hearth_llama_decode(hearth_llama *llama, bool (*goes_on)(void *context), void *context);

/// Forgets the cached tokens of a sequence from a position on. Returns false when the model cannot forget a part: then
/// all of the sequence was forgotten.
bool hearth_llama_forget(hearth_llama *llama, int32_t sequence, int32_t from_position);

/// Replaces the contents of one sequence's cache by the first tokens of another's. Returns false when the model cannot
/// do that: then the cache is empty.
bool hearth_llama_copy(hearth_llama *llama, int32_t from, int32_t to, int32_t tokens);

/// The tokens of a reranker's before the query (`part` 0), between query and document (1), or behind it (2); they live as long
/// as the model. `ends_in_blank`: the text that follows begins with a blank. Returns their number.
size_t hearth_llama_ranking_part(const hearth_llama *llama, size_t part, const int32_t **tokens, bool *ends_in_blank);

/// Forgets what was computed before.
void hearth_llama_forget_all(hearth_llama *llama);

/// Writes the vector of `count` tokens of the batch that was computed, from the token `first` on, which are one sequence. False
/// when there is none.
bool hearth_llama_vector(const hearth_llama *llama, int32_t first, int32_t count, hearth_llama_pooling pooling,
                         float *vector);

/// Writes the score that a reranker computed for a sequence of the batch. False when there is none.
bool hearth_llama_score(const hearth_llama *llama, int32_t sequence, float *score);

/// Makes a sampler; NULL when there is no memory.
hearth_llama_sampler *hearth_llama_sampler_new(hearth_llama *llama, hearth_llama_sampling sampling,
                                               hearth_llama_choices choices);

void hearth_llama_sampler_free(hearth_llama_sampler *sampler);

/// Makes a token of the prompt count for penalties and DRY.
void hearth_llama_sampler_accept(hearth_llama_sampler *sampler, int32_t token);

/// Holds what the sampler chooses from here on to a grammar (GBNF, NUL-terminated, its first rule is "root"), in place of an
/// earlier one. `given` is the part of the text that stands before. Returns 0, HEARTH_LLAMA_FAILED, or
/// HEARTH_LLAMA_GRAMMAR_REFUSED, _UNFIT or _EXCEEDS, and then nothing may be chosen with the sampler.
int32_t hearth_llama_hold(const hearth_llama *llama, hearth_llama_sampler *sampler, const char *grammar, const char *given,
                          size_t given_bytes);

/// Holds what the sampler chooses to the calls of tools that the answer may hold: from here on, or from where one begins.
/// Returns false where nothing holds them. Once for each answer.
bool hearth_llama_hold_calls(hearth_llama_sampler *sampler, hearth_llama_answer *answer);

/// Whether the sampler's text is held to a grammar, whole, and nothing can follow.
bool hearth_llama_is_over(const hearth_llama_sampler *sampler);

/// Chooses the next token after the batch's token `index`, which had `wants_logits`. Returns it, or
/// HEARTH_LLAMA_FAILED, or HEARTH_LLAMA_NOT_A_NUMBER, or HEARTH_LLAMA_GRAMMAR_EXCEEDS, _STUCK or _OVER.
int32_t hearth_llama_sample(hearth_llama *llama, hearth_llama_sampler *sampler, int32_t index);

/// Counts a token that was chosen by another sampler of the same settings, in the same place: what is chosen next is what that one
/// would choose. Returns 0, HEARTH_LLAMA_FAILED, or HEARTH_LLAMA_GRAMMAR_UNFIT or _EXCEEDS, and then nothing may be chosen with
/// the sampler.
int32_t hearth_llama_take(const hearth_llama *llama, hearth_llama_sampler *sampler, int32_t token);

/// Tells how likely the model held tokens after the batch's token `index`, which had `wants_logits`, before any sampling: first
/// `token`, then the likeliest, the likeliest first. Returns how many were written, at most `capacity`; 0 when it failed.
/// Log-probabilities are finite, and 0 or less; tokens that are impossible are left out.
size_t hearth_llama_logprobs(const hearth_llama *llama, int32_t index, int32_t token, hearth_llama_likely *likely,
                             size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
