package resources

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"maia-dr/packaging/ci/faults/matrix"
)

// macTools are what a Mac has besides stockTools and the script would like to use: each is looked for first, or only called
// where it must be.
var macTools = strings.Fields("perl zsh plutil launchctl xattr xcode-select sw_vers stty brew curl sudo")

// record notes in a file, line by line, how the machine's tools are called.
func (m *machine) record(log string, names ...string) {
	m.t.Helper()
	for _, name := range names {
		path := filepath.Join(m.bin, name)
		real := filepath.Join(filepath.Dir(m.bin), "recorded "+name)
		if err := os.Rename(path, real); err != nil {
			m.t.Fatal(err)
		}
		m.program(name, fmt.Sprintf("#!%s\nprintf '%s %%s\\n' \"$*\" >> '%s'\nexec '%s' \"$@\"\n", filepath.Join(m.bin, "sh"), name, log, real))
	}
}

// fakeTool makes a tool of a few lines of shell.
func (m *machine) fakeTool(name, text string) {
	m.t.Helper()
	m.program(name, "#!"+filepath.Join(m.bin, "sh")+"\n"+text+"\n")
}

// freshMac is a machine with no more than a Mac has that comes from its box, but for Homebrew. Its log has every call of launchctl,
// xattr, plutil and brew.
func freshMac(t testing.TB) (m *machine, log string) {
	t.Helper()
	m = newMachine(t, "bsdtar", "perl", "zsh")
	m.wrapBSD()
	m.wrapPlutil()
	m.wrapLaunchctl()
	m.fakeTool("xcode-select", "exit 0")
	m.fakeTool("sw_vers", "echo 15.1")
	m.fakeTool("uname", `case "$*" in -m) echo arm64 ;; *) echo Darwin ;; esac`)
	m.fakeTool("brew", "exit 0")
	log = filepath.Join(t.TempDir(), "log")
	m.record(log, "launchctl", "xattr", "plutil", "brew")
	return m, log
}

// everything is a backup with all that there may be in one: code and data with hostile names, databases, agents, shell files, a
// vault, packages.
func everything(t testing.TB, items []item) *builder {
	t.Helper()
	when := time.Date(2025, 9, 1, 2, 3, 4, 5_000_000, time.UTC)
	items = slices.DeleteFunc(items, func(it item) bool { return it.component == "launchagents" || it.component == "dependencies" })
	for _, name := range []string{"com.maia.one", "com.maia.two"} {
		items = append(items, item{component: "launchagents", kind: 'f', path: name + ".plist", mode: 0o644, mtime: when,
			body: []byte(agentPlist(name, "/Users/naythan/git/maia/agent.sh", ""))})
	}
	items = append(items,
		item{component: "maia_code", kind: 'f', path: "agent.sh", mode: 0o755, mtime: when, body: []byte("#!/bin/sh\n")},
		item{component: "dependencies", kind: 'f', path: "Brewfile", mode: 0o600, mtime: when, body: []byte("brew \"jq\"\ncask \"iterm2\"\n")})
	b := newBuilder(filepath.Join(t.TempDir(), "MaiaBackups"), items)
	b.chunkBytes, b.extent = 400_000, 20_000
	b.root, b.home, b.prefix = "/Users/naythan/git/maia", "/Users/naythan", "/opt/homebrew"
	b.vault = &vault{password: "correct horse", iterations: 600_000, files: []item{
		{component: "maia_code", kind: 'f', path: "secrets.py", mode: 0o600, mtime: when, body: []byte("KEY = '" + secretValue + "'\n")},
		{component: "shell_configs", kind: 'f', path: ".netrc", mode: 0o600, mtime: when, body: []byte("machine x password " + secretValue + "\n")},
	}}
	return b.write(t)
}

// relocated are the items of everything in a new home.
func (b *builder) relocated(to string) []item {
	out := b.whole()
	for i := range out {
		if out[i].component == "launchagents" {
			out[i].body = bytes.ReplaceAll(out[i].body, []byte(b.root), []byte(to))
		}
	}
	return out
}

// checkEverything compares target and home with the backup. What the package phase writes down is beside it.
func (m *machine) checkEverything(b *builder, to string, strangers ...string) {
	m.t.Helper()
	beside := append(slices.Clone(strangers), "maia-recovered/report.txt", "maia-recovered/packages.done", "maia-recovered/packages.time")
	for _, path := range append(glob(m.t, to+"/maia-recovered/packages.log"), glob(m.t, to+"/maia-recovered/packages.log/*")...) {
		beside = append(beside, strings.TrimPrefix(path, to+"/"))
	}
	target, home := split(b.relocated(to))
	checkTree(m.t, to, target, beside...)
	for _, it := range home {
		if text := differs(filepath.Join(m.home, it.path), it); text != "" {
			m.t.Errorf("in the home, %q: %s", it.path, text)
		}
	}
}

// TestFreshMac: the script runs to its end, from the first chunk to the last package, on nothing but what a Mac has from its box.
func TestFreshMac(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "25")
	b := everything(t, fixture(t))
	m, log := freshMac(t)
	to := filepath.Join(m.home, "maia")
	script := filepath.Join(b.dir, "restore_maia.sh")
	args := []string{"--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse")}
	m.run(script, append(args, "--dry-run")...).want(t, 0, "  authenticated: ", "this was a dry run")
	if text, err := os.ReadFile(log); err == nil && strings.Contains(string(text), "boot") || err == nil && strings.Contains(string(text), "brew install") {
		t.Errorf("a dry run changed the machine:\n%s", text)
	}
	if err := os.Remove(log); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	m.run(script, args...).want(t, 0, "2 agents are loaded.", "This is macOS 15.1", "This report is in ")
	m.checkEverything(b, to)
	calls := readLines(t, log)
	// Each agent is freed of its quarantine and looked at before it is loaded; packages come last.
	last := -1
	gui := fmt.Sprintf("gui/%d", os.Getuid())
	for _, name := range []string{"com.maia.one", "com.maia.two"} {
		file := filepath.Join(m.home, "Library/LaunchAgents", name+".plist")
		loaded := slices.Index(calls, "launchctl bootstrap "+gui+" "+file)
		for _, before := range []string{"xattr -d com.apple.quarantine " + file, "launchctl enable " + gui + "/" + name} {
			if n := slices.Index(calls, before); n < 0 || n > loaded {
				t.Errorf("%q is call %d, the agent was loaded with call %d", before, n, loaded)
			}
		}
		last = max(last, loaded)
	}
	if !slices.ContainsFunc(calls[:max(last, 0)], func(c string) bool { return strings.HasPrefix(c, "plutil ") }) {
		t.Error("plutil has seen no list before agents were loaded")
	}
	first := slices.IndexFunc(calls, func(c string) bool { return strings.HasPrefix(c, "brew ") })
	for _, want := range []string{"brew install --formula jq", "brew install --cask iterm2"} {
		if n := slices.Index(calls, want); n < last || first < last {
			t.Errorf("%q is call %d, the first of brew %d, the last agent was loaded with %d", want, n, first, last)
		}
	}
	// Again: there is nothing to do, and nothing is done to agents and packages.
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	m.run(script, args...).want(t, 0, "There is nothing to do.")
	for _, c := range readLines(t, log) {
		if strings.Contains(c, "boot") || strings.HasPrefix(c, "brew install") {
			t.Errorf("done again: %s", c)
		}
	}
	m.checkEverything(b, to)
}

func readLines(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// builtins of bash 3.2 that the script may use.
var builtins = strings.Fields(`: . [ break cd command continue declare echo eval exec exit export false getopts hash kill let local printf pwd read readonly
	return set shift test trap true type ulimit umask unset wait builtin disown`)

// strangeCommands returns the commands of a script that are none of its own, of the shell, or of a Mac from its box.
func strangeCommands(script string) ([]string, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, name := range slices.Concat(builtins, stockTools, macTools) {
		known[name] = true
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		if f, ok := n.(*syntax.FuncDecl); ok {
			known[f.Name.Value] = true
		}
		return true
	})
	var out []string
	syntax.Walk(file, func(n syntax.Node) bool {
		c, ok := n.(*syntax.CallExpr)
		if !ok || len(c.Args) == 0 {
			return true
		}
		args := c.Args
		if len(args) > 1 && word(args[0]) == "command" && word(args[1]) == "-v" {
			return true // it is only looked for
		}
		// What runs the rest of its line.
		for len(args) > 1 && slices.Contains([]string{"exec", "command", "builtin", "env", "xargs"}, word(args[0])) {
			args = args[1:]
			for len(args) > 1 && (strings.HasPrefix(word(args[0]), "-") || strings.Contains(word(args[0]), "=") || isNumber(word(args[0]))) {
				args = args[1:]
			}
		}
		if name := word(args[0]); name != "" && !known[name] && !strings.HasPrefix(name, "-") {
			out = append(out, fmt.Sprintf("line %d: %s", c.Pos().Line(), name))
		}
		return true
	})
	return out, nil
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// TestStockCommands: also where no test comes by, the script calls nothing that a Mac lacks.
func TestStockCommands(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "25")
	strange, err := strangeCommands(string(RestoreScript))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range strange {
		t.Error(s)
	}
	for text, want := range map[string]int{
		"f() { sed x; }; f": 0, "jq .": 1, "x=$(sha256sum y)": 1, "timeout 5 sed x": 1, "a | tac": 2, "exec zstd -d": 1, "xargs -0 -n 1 shuf": 1, "command -v jq": 0, "command jq": 1, "env A=b sed x": 0,
		"if git status; then :; fi": 1, `"$tool" x`: 0,
	} {
		if got, err := strangeCommands(text); err != nil || len(got) != want {
			t.Errorf("%s: %q, want %d; %v", text, got, want, err)
		}
	}
}
