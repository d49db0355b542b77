package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"maia-dr/engine"
)

// commands is the command line as nobody has run it yet.
func commands() *cobra.Command { return (&app{Program: Program{Env: engine.SystemEnv()}}).root() }

// TestManual compares what is committed of the manual with the definitions of the commands.
func TestManual(t *testing.T) {
	m := manualOf(commands())
	for path, text := range map[string]string{"../../resources/maia-dr.1": m.mdoc(), "../../docs/commands.md": m.markdown()} {
		if *updateGolden {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s is not what the commands say (%v): go test ./engine/cli -run TestManual -update", filepath.Base(path), err)
		}
	}
}

// overstrike is how mandoc makes bold and underlined characters for a printer.
var overstrike = regexp.MustCompile(`.\x08`)

// TestManualPage: mandoc finds nothing to say against the page, and every command, flag and example stands in it as it is
// typed; so it does in docs/commands.md.
func TestManualPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "maia-dr.1")
	root := commands()
	m := manualOf(root)
	if err := os.WriteFile(page, []byte(m.mdoc()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mandoc", "-T", "lint", "-W", "warning", page).CombinedOutput(); err != nil {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "mandoc", "-T", "ascii", "-O", "width=250", page).Output()
	if err != nil {
		t.Fatal(err)
	}
	shown := string(overstrike.ReplaceAll(out, nil))
	written := m.markdown()
	both := func(what, inPage, inMarkdown string) {
		if !strings.Contains(shown, inPage) {
			t.Errorf("the page has no %s: %q", what, inPage)
		}
		if !strings.Contains(written, inMarkdown) {
			t.Errorf("docs/commands.md has no %s: %q", what, inMarkdown)
		}
	}
	flags := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, set := range []*pflag.FlagSet{c.PersistentFlags(), c.LocalNonPersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) {
				if f.Name == "help" {
					return
				}
				flags++
				both("flag of "+c.CommandPath(), "--"+f.Name, "`--"+f.Name)
				if value, _ := pflag.UnquoteUsage(f); value != strings.ToUpper(value) {
					t.Errorf("%s --%s takes %q: what a person puts in is in capitals", c.CommandPath(), f.Name, value)
				}
			})
		}
		for line := range strings.Lines(c.Example) {
			both("example of "+c.CommandPath(), strings.TrimSpace(line), strings.TrimSpace(line))
		}
		for _, child := range c.Commands() {
			if child.Hidden || child.IsAdditionalHelpTopicCommand() {
				continue
			}
			heading := strings.TrimSuffix(strings.TrimPrefix(child.UseLine(), "maia-dr "), " [flags]")
			if len(child.Commands()) > 0 {
				heading += " COMMAND"
			}
			both("command", "\n   "+strings.ReplaceAll(heading, "…", "...")+"\n", "\n```text\nmaia-dr "+heading+"\n```\n")
			visit(child)
		}
	}
	visit(root)
	if flags < 40 {
		t.Errorf("only %d flags were looked for", flags)
	}
	for _, c := range ExitText {
		both("exit code", c.Text, c.Text)
	}
	for i, b := range []byte(m.mdoc()) {
		if b > 126 || b < 32 && b != '\n' {
			t.Fatalf("byte %d of the page is %#x, no ASCII", i, b)
		}
	}
}

// TestManualNamesTheEnvironment: every variable that the program asks for is explained, and no other.
func TestManualNamesTheEnvironment(t *testing.T) {
	asked := regexp.MustCompile(`[gG]etenv\("([A-Z_]+)"\)`)
	found := map[string]bool{"HOME": true, "PATH": true} // through the system's own functions
	for _, pattern := range []string{"../*.go", "../*/*.go", "../../keychain/*.go", "../../launchd/*.go", "../../launchd/*/*.go", "../../tray/*.go", "../../tray/*/*.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") || bytes.HasPrefix(text, []byte("//go:build ignore")) {
				continue
			}
			for _, m := range asked.FindAllSubmatch(text, -1) {
				found[string(m[1])] = true
			}
		}
	}
	for _, e := range environment {
		if !found[e.name] {
			t.Errorf("%s is explained, and nothing asks for it", e.name)
		}
		delete(found, e.name)
	}
	for name := range found {
		t.Errorf("%s is asked for, and the manual does not explain it", name)
	}
}

func TestSentences(t *testing.T) {
	got := sentences(`One thing (e.g. this). Another one, "so." Then --wait 5m. 0 is fine. And the file a.b`)
	want := []string{"One thing (e.g. this).", `Another one, "so."`, "Then --wait 5m.", "0 is fine.", "And the file a.b"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q", got)
	}
}

// TestTextIsNoMarkup: nothing of a command's text is read as a request, a macro or an escape.
func TestTextIsNoMarkup(t *testing.T) {
	for text, want := range map[string]string{
		`.zshrc and 'x'`: `\&.zshrc and \&'x'`, `a\b --no-x "q"`: `a\eb \-\-no\-x \(dqq\(dq`, "Ar Ns | [ x": `\&Ar \&Ns \&| \&[ x`, "~/x … Four": `\(ti/x \&... Four`,
	} {
		if got := mdocWords(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got, want := markdownText("**/*.md and `--x` or --yes <b> [a](b) | c"), "\\*\\*/\\*.md and `--x` or `--yes` \\<b> \\[a](b) \\| c"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
