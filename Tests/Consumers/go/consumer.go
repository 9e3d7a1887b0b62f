// A stock gRPC Go client of what a request can ask: `consumer ADDRESS CASE` runs one case against an agent whose backend
// `echo` is ready, and says on standard error what was wrong. Exit status 0 when the case holds.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "hearth.dev/api/hearth/v1"
)

type client struct {
	pb.InferenceClient
	context context.Context
}

// What was received of one choice of a turn.
type answer struct {
	text      string
	tokens    uint32
	ids       []uint32
	logprobs  []*pb.TokenLogprob
	calls     []*pb.ToolCall
	reasoning string
	finished  *pb.Finished
}

func expect(holds bool, format string, values ...interface{}) {
	if !holds {
		fmt.Fprintf(os.Stderr, format+"\n", values...)
		os.Exit(1)
	}
}

func must(err error) { expect(err == nil, "the call ended: %v", err) }

func message(role pb.Role, content string) *pb.Message { return &pb.Message{Role: role, Content: content} }

func conversation(messages ...*pb.Message) *pb.GenerateRequest {
	return &pb.GenerateRequest{
		Model: "echo", Prompt: &pb.GenerateRequest_Messages{Messages: &pb.Messages{Messages: messages}},
	}
}

func text(prompt string) *pb.GenerateRequest {
	return &pb.GenerateRequest{Model: "echo", Prompt: &pb.GenerateRequest_Text{Text: prompt}}
}

// Reads a turn to its end; asserts the order that the contract promises.
func (c client) turn(request *pb.GenerateRequest) ([]*answer, *pb.Usage) {
	stream, err := c.Generate(c.context, request)
	must(err)
	count := 1
	if request.Choices != nil {
		count = int(*request.Choices)
	}
	answers := make([]*answer, count)
	for index := range answers {
		answers[index] = &answer{}
	}
	var usage *pb.Usage
	accepted := false
	for seq := uint64(1); ; seq++ {
		event, err := stream.Recv()
		if err == io.EOF {
			break
		}
		must(err)
		expect(event.Seq == seq && usage == nil, "event %d after %d", event.Seq, seq-1)
		told := answers[event.Choice]
		switch {
		case event.GetQueued() != nil:
			expect(!accepted, "Queued after Accepted")
		case event.GetAccepted() != nil:
			expect(!accepted, "Accepted twice")
			accepted = true
		case event.GetDelta() != nil:
			expect(accepted && told.finished == nil, "Delta out of place")
			told.take(event.GetDelta())
		case event.GetFinished() != nil:
			expect(told.finished == nil, "Finished twice")
			told.finished = event.GetFinished()
		case event.GetUsage() != nil:
			usage = event.GetUsage()
		default:
			expect(false, "an event of no kind: %v", event)
		}
	}
	expect(usage != nil, "no Usage")
	sum := uint32(0)
	for _, told := range answers {
		expect(told.finished != nil, "a choice without Finished")
		sum += told.tokens
	}
	expect(sum == usage.CompletionTokens, "usage tells %d tokens, %d came", usage.CompletionTokens, sum)
	return answers, usage
}

func (a *answer) take(delta *pb.Delta) {
	a.text += delta.Text
	a.tokens += delta.TokenCount
	a.ids = append(a.ids, delta.TokenIds...)
	a.reasoning += delta.Reasoning
	a.logprobs = append(a.logprobs, delta.GetLogprobs().GetTokens()...)
	for _, piece := range delta.GetToolCalls().GetPieces() {
		if int(piece.Index) == len(a.calls) {
			a.calls = append(a.calls, &pb.ToolCall{Id: piece.Id, Name: piece.Name})
		}
		a.calls[piece.Index].Arguments += piece.Arguments
	}
}

func (c client) refused(request *pb.GenerateRequest, code codes.Code, words string) {
	stream, err := c.Generate(c.context, request)
	if err == nil {
		_, err = stream.Recv()
	}
	expect(status.Code(err) == code && strings.Contains(err.Error(), words), "%v, and not %v: %s", err, code, words)
}

var cases = map[string]func(client){
	"tools": func(c client) {
		request := conversation(message(pb.Role_ROLE_USER, "please look at 'Zürich'"))
		schema := `{"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}`
		request.Tools = &pb.ToolUse{Tools: []*pb.Tool{{Name: "find", Parameters: schema}, {Name: "look", Parameters: schema}}}
		answers, _ := c.turn(request)
		told := answers[0]
		expect(told.finished.Reason == pb.FinishReason_FINISH_REASON_TOOL_CALLS, "it ended %v", told.finished)
		expect(len(told.calls) == 1 && told.calls[0].Name == "look", "it called %v", told.calls)
		var arguments map[string]string
		must(json.Unmarshal([]byte(told.calls[0].Arguments), &arguments))
		expect(arguments["text"] == "please look at 'Zürich'", "the arguments are %v", arguments)

		list := request.GetMessages()
		list.Messages = append(list.Messages,
			&pb.Message{Role: pb.Role_ROLE_ASSISTANT, ToolCalls: told.calls},
			&pb.Message{Role: pb.Role_ROLE_TOOL, ToolCallId: told.calls[0].Id, Content: "It rains."})
		answers, _ = c.turn(request)
		expect(answers[0].text != "" && len(answers[0].calls) == 0, "the result is not answered: %v", answers[0])

		request.Tools = &pb.ToolUse{Tools: []*pb.Tool{{Name: "a b"}}}
		c.refused(request, codes.InvalidArgument, "a b")
	},
	"form": func(c client) {
		request := text("hello world")
		request.Format = &pb.OutputFormat{Kind: &pb.OutputFormat_JsonSchema{
			JsonSchema: `{"type": "object", "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 130}},
				"required": ["age"], "additionalProperties": false}`}}
		answers, _ := c.turn(request)
		var object map[string]int
		must(json.Unmarshal([]byte(answers[0].text), &object))
		expect(object["age"] >= 0 && object["age"] <= 130, "the age is %d", object["age"])
		request.Format = &pb.OutputFormat{Kind: &pb.OutputFormat_Choice{
			Choice: &pb.Choices{Texts: []string{"yes", "no"}}}}
		answers, _ = c.turn(request)
		expect(answers[0].text == "yes" || answers[0].text == "no", "the choice is %q", answers[0].text)
		request.Format = &pb.OutputFormat{Kind: &pb.OutputFormat_JsonSchema{JsonSchema: `{"multipleOf": 3}`}}
		c.refused(request, codes.InvalidArgument, "multipleOf")
	},
	"sampling": func(c client) {
		request := text("hello world")
		request.Stopping = &pb.Stopping{MaxTokens: proto.Uint32(20)}
		request.Output = &pb.OutputOptions{TokenIds: true, Logprobs: proto.Uint32(3)}
		answers, _ := c.turn(request)
		told := answers[0]
		expect(len(told.logprobs) == 20 && len(told.ids) == 20, "%d of 20 log-probabilities", len(told.logprobs))
		for index, entry := range told.logprobs {
			expect(entry.TokenId == told.ids[index] && len(entry.Alternatives) == 3, "the entry is %v", entry)
			expect(math.Abs(float64(entry.Logprob)+math.Ln2) < 1e-5, "the log-probability is %v", entry.Logprob)
		}
		request.Sampling = &pb.Sampling{LogitBias: []*pb.LogitBias{{TokenId: 7, Bias: 100}}}
		answers, _ = c.turn(request)
		for _, id := range answers[0].ids {
			expect(id == 7, "the token %d is not the one with the bias", id)
		}
		request.Sampling = &pb.Sampling{XtcProbability: proto.Float32(2)}
		c.refused(request, codes.InvalidArgument, "xtc_probability")
	},
	"choices": func(c client) {
		request := text("hello world")
		request.Stopping = &pb.Stopping{MaxTokens: proto.Uint32(50)}
		request.Sampling = &pb.Sampling{Seed: proto.Uint64(5)}
		request.Choices = proto.Uint32(3)
		answers, usage := c.turn(request)
		expect(len(usage.Choices) == 3, "usage has %d choices", len(usage.Choices))
		request.Choices = nil
		for index, told := range answers {
			request.Sampling.Seed = proto.Uint64(5 + uint64(index))
			alone, _ := c.turn(request)
			expect(told.text == alone[0].text, "choice %d is %q", index, told.text)
		}
		request.Choices = proto.Uint32(17)
		c.refused(request, codes.InvalidArgument, "choices is 17")
	},
	"vectors": func(c client) {
		inputs := []*pb.EmbedInput{
			{Input: &pb.EmbedInput_Text{Text: "a fox"}}, {Input: &pb.EmbedInput_Text{Text: "a dog"}},
		}
		told, err := c.Embed(c.context, &pb.EmbedRequest{Model: "echo", Inputs: inputs})
		must(err)
		expect(len(told.Embeddings) == 2, "%d vectors", len(told.Embeddings))
		for _, embedding := range told.Embeddings {
			sum := 0.0
			for _, number := range embedding.Vector {
				sum += float64(number) * float64(number)
			}
			expect(math.Abs(sum-1) < 1e-4, "the length is %v", math.Sqrt(sum))
		}
		documents := []string{"one", "two", "three"}
		ranked, err := c.Rerank(c.context, &pb.RerankRequest{Model: "echo", Query: "which", Documents: documents})
		must(err)
		scores := ranked.Documents
		inOrder := sort.SliceIsSorted(scores, func(one, two int) bool { return scores[one].Score > scores[two].Score })
		expect(len(scores) == 3 && inOrder, "the scores are %v", scores)
		_, err = c.Embed(c.context, &pb.EmbedRequest{Model: "echo"})
		expect(status.Code(err) == codes.InvalidArgument, "no input gives %v", err)
	},
	"prompts": func(c client) {
		request := text("hello big world")
		count, err := c.CountTokens(c.context, request)
		must(err)
		told, err := c.Tokenize(c.context, request)
		must(err)
		expect(int(count.Tokens) == len(told.Tokens), "%d tokens, and %d counted", len(told.Tokens), count.Tokens)
		ids := &pb.TokenIds{}
		for _, token := range told.Tokens {
			ids.Ids = append(ids.Ids, token.Id)
		}
		whole, err := c.Detokenize(c.context, &pb.GenerateRequest{
			Model: "echo", Prompt: &pb.GenerateRequest_TokenIds{TokenIds: ids}})
		must(err)
		expect(len(whole.Text) > 0, "the tokens have no text")
		parts := &pb.Message{Role: pb.Role_ROLE_USER, Parts: []*pb.Part{
			{Part: &pb.Part_Text{Text: "hello "}}, {Part: &pb.Part_Text{Text: "world"}}}}
		one, err := c.ApplyTemplate(c.context, conversation(parts))
		must(err)
		other, err := c.ApplyTemplate(c.context, conversation(message(pb.Role_ROLE_USER, "hello world")))
		must(err)
		expect(one.Text == other.Text && one.Text != "", "parts give %q, the text %q", one.Text, other.Text)
		image := &pb.Message{Role: pb.Role_ROLE_USER, Parts: []*pb.Part{
			{Part: &pb.Part_Image{Image: &pb.Media{MediaType: "image/png", Data: []byte{1}}}}}}
		c.refused(conversation(image), codes.Unimplemented, "images")
	},
}

func main() {
	expect(len(os.Args) == 3, "usage: consumer ADDRESS CASE")
	run, known := cases[os.Args[2]]
	expect(known, "no case is named %s", os.Args[2])
	bounded, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	connection, err := grpc.DialContext(bounded, os.Args[1], grpc.WithInsecure())
	must(err)
	run(client{pb.NewInferenceClient(connection), bounded})
}
