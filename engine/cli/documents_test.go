package cli

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"

	"maia-dr/packaging/ci/policy"
	"maia-dr/resources"
)

// module is the top of the module, from here.
const module = "../.."

// documents are what people read: README.md and docs/*.md, by their names.
func documents(t *testing.T) map[string]*policy.Document {
	t.Helper()
	paths, err := filepath.Glob(module + "/docs/*.md")
	if err != nil || len(paths) < 5 {
		t.Fatalf("find the documents: %q %v", paths, err)
	}
	out := make(map[string]*policy.Document)
	for _, p := range append(paths, module+"/README.md") {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(p, module+"/")] = policy.ParseDocument(string(text))
	}
	return out
}

// TestDocumentsNameWhatExists: every command, flag and target of make that a document names exists, wherever it can be run.
func TestDocumentsNameWhatExists(t *testing.T) {
	c := newWordsChecker(t)
	for name, d := range documents(t) {
		for _, problem := range c.document(d) {
			t.Errorf("%s:%s", name, problem)
		}
	}
	if c.looked < 150 {
		t.Errorf("only %d command lines and names of flags were found", c.looked)
	}
}

// wordsChecker knows what there is to be called.
type wordsChecker struct {
	flags   map[string]bool // of any command, and of restore_maia.sh
	script  map[string]bool // of restore_maia.sh
	targets map[string]bool // of make
	looked  int
}

func newWordsChecker(t *testing.T) *wordsChecker {
	t.Helper()
	c := &wordsChecker{flags: map[string]bool{"help": true}, script: make(map[string]bool), targets: make(map[string]bool)}
	root := commands()
	m := manualOf(root)
	for _, cmd := range append(m.commands, root) {
		for _, f := range append(flagsOf(cmd.PersistentFlags()), flagsOf(cmd.LocalNonPersistentFlags())...) {
			c.flags[f.name] = true
		}
	}
	for _, f := range regexp.MustCompile(`(?m)^  --([a-z-]+)`).FindAllSubmatch(resources.RestoreScript, -1) {
		c.script[string(f[1])], c.flags[string(f[1])] = true, true
	}
	makefile, err := os.ReadFile(module + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range regexp.MustCompile(`(?m)^([a-z]+):`).FindAllSubmatch(makefile, -1) {
		c.targets[string(target[1])] = true
	}
	if len(c.script) < 10 || len(c.targets) < 10 || len(c.flags) < 40 {
		t.Fatalf("too little is known: %d flags of the script, %d targets, %d flags", len(c.script), len(c.targets), len(c.flags))
	}
	return c
}

// document returns what is wrong, each with its line.
func (c *wordsChecker) document(d *policy.Document) (problems []string) {
	for _, b := range d.Blocks {
		if b.Fenced && b.Language != "sh" {
			if b.Language == "" || slices.Contains([]string{"bash", "shell", "zsh", "console"}, b.Language) {
				problems = append(problems, fmt.Sprintf("%d: a block is sh, text, or of another language by its name, not %q", b.Line, b.Language))
			}
			continue
		}
		if !b.Fenced && !slices.ContainsFunc(b.Lines, isCommand.MatchString) {
			continue // what a program says, not what is typed
		}
		problems = append(problems, c.block(b)...)
	}
	for _, s := range d.Spans {
		if err := c.span(s.Text); err != nil {
			problems = append(problems, fmt.Sprintf("%d: `%s`: %v", s.Line, s.Text, err))
		}
	}
	return problems
}

// isCommand matches the beginning of a line that is to be typed.
var isCommand = regexp.MustCompile(`^\s*(maia-dr|make|go|bash|source|openssl) `)

func (c *wordsChecker) block(b policy.Block) (problems []string) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(strings.Join(b.Lines, "\n")), "")
	if err != nil {
		return []string{fmt.Sprintf("%d: bash cannot read the block: %v", b.Line, err)}
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			if err := c.command(literals(call)); err != nil {
				problems = append(problems, fmt.Sprintf("%d: %v", b.Line+int(call.Pos().Line())-1, err))
			}
		}
		return true
	})
	return problems
}

// literals are a command's words without quotes; what only the shell knows is an x.
func literals(call *syntax.CallExpr) (words []string) {
	var text func(parts []syntax.WordPart) string
	text = func(parts []syntax.WordPart) (s string) {
		for _, p := range parts {
			switch p := p.(type) {
			case *syntax.Lit:
				s += p.Value
			case *syntax.SglQuoted:
				s += p.Value
			case *syntax.DblQuoted:
				s += text(p.Parts)
			default:
				s += "x"
			}
		}
		return s
	}
	for _, w := range call.Args {
		words = append(words, text(w.Parts))
	}
	return words
}

// command checks a command line that somebody types.
func (c *wordsChecker) command(words []string) error {
	switch name, args := path.Base(words[0]), words[1:]; {
	case name == "maia-dr":
		c.looked++
		return parses(args)
	case name == "go" && len(args) > 1 && args[0] == "run" && args[1] == ".":
		c.looked++
		return parses(args[2:])
	case name == "go" && len(args) > 1 && args[0] == "run" && strings.HasPrefix(args[1], "./"):
		_, err := os.Stat(filepath.Join(module, args[1]))
		return err
	case name == "make":
		return c.make(args)
	case name == "bash" && len(args) > 0 && path.Base(args[0]) == "restore_maia.sh":
		c.looked++
		return c.restoreScript(args[1:])
	}
	return nil
}

func (c *wordsChecker) make(args []string) error {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") && !strings.Contains(a, "=") && !c.targets[a] {
			return fmt.Errorf("make knows no %q", a)
		}
	}
	return nil
}

func (c *wordsChecker) restoreScript(args []string) error {
	for _, a := range args {
		if name, _, _ := strings.Cut(a, "="); strings.HasPrefix(a, "--") && !c.script[name[2:]] {
			return fmt.Errorf("restore_maia.sh knows no %s", name)
		}
	}
	return nil
}

// parses says what the command line has against these arguments.
func parses(args []string) error {
	root := commands()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	if help, _ := cmd.Flags().GetBool("help"); help {
		return nil
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	return nil
}

// span checks code within a sentence: a command line in which other words may stand for arguments, or a flag.
func (c *wordsChecker) span(text string) error {
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ", "…", " ", "...", " ").Replace(text))
	if len(words) == 0 {
		return nil
	}
	switch base := path.Base(words[0]); {
	case strings.HasPrefix(words[0], "--"):
		c.looked++
		if name, _, _ := strings.Cut(words[0][2:], "="); name != "" && !c.flags[name] {
			return fmt.Errorf("no command knows --%s", name)
		}
	case words[0] == "maia-dr":
		c.looked++
		return named(words[1:])
	case words[0] == "make" && len(words) < 4:
		return c.make(words[1:])
	case base == "restore_maia.sh" || base == "bash" && len(words) > 1 && path.Base(words[1]) == "restore_maia.sh":
		return c.restoreScript(words[1:])
	}
	return nil
}

// named is parses for a line in a sentence: words in capitals stand for something, and arguments may be missing.
func named(words []string) error {
	var names, flags []string
	for _, w := range words {
		if strings.HasPrefix(w, "-") {
			name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
			flags = append(flags, name)
		} else {
			names = append(names, w)
		}
	}
	root := commands()
	cmd, rest, err := root.Find(names)
	if err != nil {
		return err
	}
	if cmd.HasSubCommands() && len(rest) > 0 && rest[0] != strings.ToUpper(rest[0]) {
		return fmt.Errorf("%s has no command %s", cmd.CommandPath(), rest[0])
	}
	cmd.InitDefaultHelpFlag()
	for _, f := range flags {
		if f != "" && cmd.Flags().Lookup(f) == nil && cmd.InheritedFlags().Lookup(f) == nil && cmd.PersistentFlags().Lookup(f) == nil {
			return fmt.Errorf("%s knows no --%s", cmd.CommandPath(), f)
		}
	}
	return nil
}

// TestDocumentsBite: what does not exist is found, wherever it stands, and what exists is not.
func TestDocumentsBite(t *testing.T) {
	c := newWordsChecker(t)
	for text, want := range map[string]string{
		"`maia-dr nonsense`": "no command nonsense", "`maia-dr schedule nonsense`": "no command nonsense", "`maia-dr backup --gone`": "knows no --gone",
		"a `--gone DIR` b": "no command knows --gone", "`make nonsense`": "make knows no", "`bash restore_maia.sh --gone`": "knows no --gone",
		"```sh\nmaia-dr status\nmaia-dr list --gone\n```": "3: maia-dr list: ", "```sh\nmaia-dr export latest\n```": "argument is missing",
		"```sh\nsource <(maia-dr completion bash) | maia-dr nonsense\n```": "2: ", "<!-- mac -->\n```sh\nbin/maia-dr nonsense\n```": "3: ",
		"x\n\n    maia-dr nonsense\n": "3: ", "```sh\nif\n```": "bash cannot read", "```\nmaia-dr list\n```": "2: a block is sh", "```bash\nmaia-dr list\n```": "a block is sh",
		"```sh\ngo run . nonsense\n```": "2: ", "```sh\ngo run ./gone\n```": "no such file", "```sh\nmake -j 4 gone\n```": "make knows no",
		"```sh\nX=1 \"maia-dr\" status --format \"$Y\" z\n```": "one argument too many", "<!-- `maia-dr gone` -->": "no command gone",
	} {
		problems := c.document(policy.ParseDocument(text))
		if len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%q: %q, want %q", text, problems, want)
		}
	}
	for _, text := range []string{
		"`maia-dr`, `maia-dr export BACKUP DIR [--archives]`, `maia-dr help COMMAND`, `maia-dr restore … --map OLD=NEW`, `--to DIR`, `--help`, `make test`, `restic check --read-data`",
		"```text\nmaia-dr nonsense\n```", "x\n\n    1 of 8, Maia root\n", "```sh\nmaia-dr show --files 'a/**' --json | less\nmaia-dr schedule --help\nmake test PACKAGES=./engine\n```",
		"```sh\nbash ~/x/restore_maia.sh --dry-run --to \"$X\"\n```", "`maia-dr.log`",
	} {
		if problems := c.document(policy.ParseDocument(text)); len(problems) > 0 {
			t.Errorf("%q: %q", text, problems)
		}
	}
}

// TestMessagesNameWhatExists: so do the program's own messages, and those of restore_maia.sh.
func TestMessagesNameWhatExists(t *testing.T) {
	c := newWordsChecker(t)
	advised := regexp.MustCompile("`(maia-dr [^`]+)`")
	look := func(where, text string) {
		for _, m := range advised.FindAllStringSubmatch(text, -1) {
			if err := c.span(verb.ReplaceAllString(m[1], "X")); err != nil {
				t.Errorf("%s: `%s`: %v", where, m[1], err)
			}
		}
	}
	for _, dir := range []string{"engine", "tray", "keychain", "launchd"} {
		err := filepath.WalkDir(filepath.Join(module, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					if text, err := strconv.Unquote(l.Value); err == nil {
						look(path, text)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	look("restore_maia.sh", strings.ReplaceAll(string(resources.RestoreScript), "\\`", "`"))
	if c.looked < 40 {
		t.Errorf("only %d messages name a command", c.looked)
	}
}

// verb is what fmt puts something in the place of.
var verb = regexp.MustCompile(`%[a-z]`)
