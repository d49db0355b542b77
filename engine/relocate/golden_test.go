package relocate_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"

	"maia-dr/engine/fixture"
	"maia-dr/engine/relocate"
	"maia-dr/engine/vault"
)

var update = flag.Bool("update", false, "write the golden file anew")

// TestAgentsGolden moves the sample's 19 agents to another user elsewhere: all can be read by two parsers, and nothing
// differs but strings that hold a mapped path.
func TestAgentsGolden(t *testing.T) {
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(t.TempDir(), "mac"), Seed: 3, OldHome: "/Users/naythan"})
	if err != nil {
		t.Fatal(err)
	}
	m, ambiguous := relocate.NewMap(relocate.Options{
		Root: "/Users/naythan/git/maia", NewRoot: "/Users/kim/Work & Play/maia", Home: "/Users/naythan", NewHome: "/Users/kim",
		OldRoots: []string{"/Users/naythan/git/maia", "/Users/naythan"}, Prefix: "/usr/local", NewPrefix: "/opt/homebrew",
	})
	if len(ambiguous) > 0 || len(fix.Agents) != 19 {
		t.Errorf("%d agents, %v", len(fix.Agents), ambiguous)
	}
	var golden strings.Builder
	converted, left := 0, 0
	for _, name := range fix.Agents {
		in, err := os.ReadFile(filepath.Join(fix.Home, "Library/LaunchAgents", name))
		if err != nil {
			t.Fatal(err)
		}
		out, changes, err := m.Plist(in)
		if err != nil || len(changes) == 0 {
			t.Fatalf("%s: %d changes, %v", name, len(changes), err)
		}
		if bytes.HasPrefix(in, []byte("bplist")) {
			converted++
		}
		onlyMapped(t, name, values(t, in), values(t, out), changes)
		onlyMapped(t, name+" by plistutil", values(t, plistutil(t, in)), values(t, plistutil(t, out)), changes)
		left += len(m.PlistLeftovers(out))
		fmt.Fprintf(&golden, "-- %s --\n%s", name, out)
	}
	if converted < 3 || left != 2 {
		t.Errorf("%d were binary, %d strings and keys are left to a person", converted, left)
	}
	text := golden.String()
	for _, p := range fix.Secrets {
		// Made up as they are, they look like secrets.
		if p.Secret && len(p.Value) >= 8 {
			text = strings.NewReplacer(p.Value, "PLANTED", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(p.Value), "PLANTED").Replace(text)
		}
	}
	const file = "testdata/agents.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("the agents are\n%s\nrun with -update and look at the difference", text)
	}
}

// plistutil has an independent parser read a list. It exits with 0 whatever happens: what it wrote counts.
func plistutil(t *testing.T, b []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, b, 0o600); err != nil {
		t.Fatal(err)
	}
	msg, err := exec.Command("plistutil", "-i", in, "-f", "xml", "-o", out).CombinedOutput()
	if err != nil {
		t.Fatalf("plistutil: %v: %s", err, msg)
	}
	got, err := os.ReadFile(out)
	if err != nil || len(got) == 0 {
		t.Fatalf("plistutil wrote nothing: %v: %s", err, msg)
	}
	return got
}

// values maps each place of a property list to what stands there.
func values(t *testing.T, b []byte) map[string]any {
	t.Helper()
	top, err := vault.ReadPlist(b)
	if err != nil {
		t.Fatal(err)
	}
	var direct map[string]any
	if _, err := plist.Unmarshal(b, &direct); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s[%d]", at, i), x)
			}
			out[at] = len(v)
		case map[string]any:
			for k, x := range v {
				walk(at+"/"+k, x)
			}
			out[at] = len(v)
		default:
			out[at] = fmt.Sprintf("%T %v", v, v)
		}
	}
	walk("", top)
	return out
}

// onlyMapped fails the test unless the places that differ are strings with the old user's home or Homebrew, as many as
// were announced.
func onlyMapped(t *testing.T, name string, before, after map[string]any, changes []relocate.Change) {
	t.Helper()
	if len(before) != len(after) {
		t.Errorf("%s: %d values became %d", name, len(before), len(after))
	}
	differ := 0
	for at, was := range before {
		is := after[at]
		if is == was {
			continue
		}
		differ++
		i := slices.IndexFunc(changes, func(c relocate.Change) bool { return was == "string "+c.Old && is == "string "+c.New })
		if i < 0 || !strings.Contains(changes[i].Old, "/Users/naythan") && !strings.Contains(changes[i].Old, "/usr/local/bin") {
			t.Errorf("%s: %s was %v and is %v", name, at, was, is)
		}
	}
	if differ != len(changes) {
		t.Errorf("%s: %d values differ, %d changes were told", name, differ, len(changes))
	}
}
