package cli_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine/fixture"
)

// escapes are what a shell writes to place and colour its text.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[A-Za-z]|[=>]|\][^\x07]*\x07)`)

// takeBackups are the beginnings of lines that a backup's id belongs to.
var takeBackups = []string{"show", "diff", "diff latest", "verify", "verify latest", "restore", "drill", "export", "password check", "prune --forget"}

// TestShellsComplete asks the shells themselves: every command is offered, and the id of the one backup there is.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	w := newShells(t)
	w.run("maia-dr", "backup", "--no-vault")
	backups := w.run("maia-dr", "list", "--json")
	id := regexp.MustCompile(`full_\d{8}_\d{6}`).FindString(backups)
	if id == "" {
		t.Fatalf("there is no backup:\n%s", backups)
	}
	var commands []string
	for _, row := range regexp.MustCompile("(?m)^\\| \\[`([a-z]+)`\\]").FindAllStringSubmatch(w.run("maia-dr", "help", "--markdown"), -1) {
		commands = append(commands, row[1])
	}
	if len(commands) < 20 {
		t.Fatalf("there are only these commands: %q", commands)
	}
	short := map[string]string{
		"help sch": "schedule", "help exit": "exit-codes", "help schedule ins": "install", "help --ma": "--man", "completion f": "fish",
		"restore --only maia_da": "maia_data_small", "status --format p": "prometheus", "tray --pause t": "tomorrow", "notify set w": "webhook",
	}
	lines := slices.Concat([]string{"", "show ", "verify latest "}, slices.Collect(maps.Keys(short)))
	for _, line := range takeBackups {
		lines = append(lines, line+" full_2")
	}
	for shell, ask := range map[string]func([]string) map[string][]string{"bash": w.bash, "fish": w.fish} {
		offered := ask(lines)
		for _, c := range commands {
			if !slices.Contains(offered[""], c) {
				t.Errorf("%s does not offer %s: %q", shell, c, offered[""])
			}
		}
		if got := offered["show "]; !slices.Contains(got, id) || !slices.Contains(got, "latest") {
			t.Errorf("%s offers no backups: %q", shell, got)
		}
		if got := offered["verify latest "]; !slices.Equal(got, []string{id}) {
			t.Errorf("%s offers %q after latest", shell, got)
		}
		for _, line := range takeBackups {
			if got := offered[line+" full_2"]; !slices.Equal(got, []string{id}) {
				t.Errorf("%s makes %q of %q", shell, got, line+" full_2")
			}
		}
		for line, want := range short {
			if got := offered[line]; !slices.Contains(got, want) {
				t.Errorf("%s does not make %s of %q: %q", shell, want, line, got)
			}
		}
	}
	screen := w.zsh("maia-dr \t\x15", "maia-dr sho\tfull_2\t", "maia-dr help exit\t")
	for _, c := range commands {
		if !regexp.MustCompile(`(?m)^` + c + ` +-- `).MatchString(screen) {
			t.Errorf("zsh does not offer %s", c)
		}
	}
	for _, want := range []string{"Backup     " + id, "maia-dr help exit-codes", "130  cancelled"} {
		if !strings.Contains(screen, want) {
			t.Errorf("zsh never came to %q", want)
		}
	}
	if t.Failed() {
		t.Logf("zsh:\n%s", screen)
	}
}

// shells are the shells in a home of their own, with maia-dr in their PATH.
type shells struct {
	t         *testing.T
	home, bin string
}

func newShells(t *testing.T) *shells {
	t.Helper()
	base := t.TempDir()
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(base, "mac"), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	w := &shells{t, fix.Home, filepath.Join(base, "bin")}
	self, err := os.Executable()
	if err == nil {
		err = os.Mkdir(w.bin, 0o700)
	}
	if err == nil {
		err = os.Symlink(self, filepath.Join(w.bin, "maia-dr"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *shells) command(name string, args ...string) *exec.Cmd {
	path := w.bin + ":/usr/bin:/bin"
	if name == "maia-dr" {
		name = filepath.Join(w.bin, name)
	}
	cmd := exec.CommandContext(w.t.Context(), name, args...)
	cmd.Dir = w.home
	cmd.Env = []string{"PATH=" + path, "HOME=" + w.home, "TERM=xterm", "ZDOTDIR=" + w.home, "LC_ALL=C.UTF-8", "PAGER=cat"}
	return cmd
}

func (w *shells) run(name string, args ...string) string {
	w.t.Helper()
	cmd := w.command(name, args...)
	cmd.Stderr = w.t.Output()
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// bash fills the variables of a function for completion, as bash does when Tab is pressed at the end of a line.
func (w *shells) bash(lines []string) map[string][]string {
	const script = `source /usr/share/bash-completion/bash_completion
source <(maia-dr completion bash --no-descriptions)
compopt() { :; }
for COMP_LINE; do
    echo "> $COMP_LINE"
    read -ra COMP_WORDS <<< "$COMP_LINE"
    case $COMP_LINE in *' ') COMP_WORDS+=('') ;; esac
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9 COMPREPLY=()
    __start_maia-dr maia-dr "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}"
done`
	return offers(w.run("bash", append([]string{"--norc", "-c", script, "bash"}, typed(lines)...)...))
}

func (w *shells) fish(lines []string) map[string][]string {
	const script = `maia-dr completion fish | source
for line in $argv
    echo "> $line"
    complete -C "$line"
end`
	return offers(w.run("fish", append([]string{"--no-config", "-c", script}, typed(lines)...)...))
}

func typed(lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, "maia-dr "+l)
	}
	return out
}

// offers are by line what is offered at its end, without descriptions.
func offers(text string) map[string][]string {
	out := make(map[string][]string)
	line := ""
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if typed, ok := strings.CutPrefix(l, "> maia-dr "); ok {
			line = typed
			continue
		}
		word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
		out[line] = append(out[line], word)
	}
	return out
}

// zsh types lines into an interactive shell on a terminal and returns what the screen showed.
func (w *shells) zsh(lines ...string) string {
	const ready = "ready> "
	rc := "PS1='" + ready + "'\nautoload -U compinit\ncompinit -u -D\nsource <(maia-dr completion zsh)\nLISTMAX=1000\nunsetopt promptsp\n"
	if err := os.WriteFile(filepath.Join(w.home, ".zshrc"), []byte(rc), 0o600); err != nil {
		w.t.Fatal(err)
	}
	var dialogue []line
	for _, l := range append(lines, "exit") {
		dialogue = append(dialogue, line{ready, l})
	}
	screen := onTerminal(w.t, w.command("zsh", "--no-globalrcs", "-i"), dialogue)
	return strings.ReplaceAll(escapes.ReplaceAllString(screen, ""), "\r", "")
}
