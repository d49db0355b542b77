package main

import (
	"strings"
	"testing"
)

// stream is what go test -json prints for a passing, a failing, a skipping and
// an empty package, cut to the fields that are read.
const stream = `{"Action":"start","Package":"m/a"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"chatter of TestGood\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood/part","Elapsed":40}
{"Action":"pass","Package":"m/a","Test":"TestGood","Elapsed":41.25}
{"Action":"output","Package":"m/a","Output":"PASS\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.1s\n"}
{"Action":"pass","Package":"m/a"}
{"Action":"output","Package":"m/none","Output":"?   \tm/none\t[no test files]\n"}
{"Action":"skip","Package":"m/none"}
`

const skipping = `{"Action":"output","Package":"m/s","Test":"TestLazy/sub","Output":"    x_test.go:3: no tool\n"}
{"Action":"skip","Package":"m/s","Test":"TestLazy/sub"}
{"Action":"pass","Package":"m/s","Test":"TestLazy"}
{"Action":"pass","Package":"m/s"}
`

const failing = `{"ImportPath":"m/b","Action":"build-output","Output":"b.go:1: broken\n"}
{"Action":"output","Package":"m/f","Test":"TestBad","Output":"why it is bad\n"}
{"Action":"fail","Package":"m/f","Test":"TestBad"}
{"Action":"output","Package":"m/f","Test":"TestHung","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"m/f"}
`

func TestSummarize(t *testing.T) {
	for _, tc := range []struct {
		name, in    string
		shown, held []string // parts of the output, and what it must not show
		verdict     string
	}{
		{"all good", stream, []string{"ok  \tm/a\t0.1s", "[no test files]", "2 tests in 1 packages passed, 0 failed, 0 skipped", "   41.2 s  m/a TestGood\n"}, []string{"chatter", "PASS", "40.0 s"}, ""},
		{"skip", stream + skipping, []string{"no tool", "skipped: m/s TestLazy/sub"}, nil, "skipped"},
		{"fail", stream + failing, []string{"b.go:1: broken", "why it is bad", "panic: test timed out", "failed: m/f TestBad"}, nil, "failed"},
		{"nothing", `{"Action":"skip","Package":"m/none"}` + "\n", nil, nil, "no test ran"},
		{"not json", stream + "go: warning\n", []string{"go: warning"}, nil, ""},
		{"no last newline", strings.TrimSpace(stream + skipping), nil, nil, "skipped"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			s, err := summarize(strings.NewReader(tc.in), &out)
			if err != nil {
				t.Fatal(err)
			}
			s.print(&out)
			for _, part := range tc.shown {
				if !strings.Contains(out.String(), part) {
					t.Errorf("output lacks %q:\n%s", part, out.String())
				}
			}
			for _, part := range tc.held {
				if strings.Contains(out.String(), part) {
					t.Errorf("output shows %q:\n%s", part, out.String())
				}
			}
			verdict := s.verdict()
			if (verdict == nil) != (tc.verdict == "") || verdict != nil && !strings.Contains(verdict.Error(), tc.verdict) {
				t.Errorf("verdict %v, want %q", verdict, tc.verdict)
			}
		})
	}
}
