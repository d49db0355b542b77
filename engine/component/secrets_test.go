package component

import (
	"os"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine/vault"
)

// TestSecretFilesSayWhatBecomesOfThem looks at each way in which a file is secret-bearing.
func TestSecretFilesSayWhatBecomesOfThem(t *testing.T) {
	const agents = "Library/LaunchAgents/"
	root := maia(t, map[string]string{
		"deep/in/production_api_credentials.py": "API_KEY = (\"ab\"\n  'cd')\n", "x/.netrc": "machine h login u password pw\n", "x/.env.example": "A=1\n",
		"x/prod.env": "A_TOKEN=abc\n", "x/large.env": strings.Repeat("x", maxScanned+1), "x/plain.env": "A=1\n", "dot/.zshrc": "export A_TOKEN=abc\n",
		"run.sh": "A_TOKEN=abc\n", "x.json": `{"token": "abc"}`, "other.plist": agentPlist("x", "y", "--token", "abc"),
	})
	h := home(t, map[string]string{
		".zshrc": "export A_TOKEN='a b'\n", ".gitconfig": "[url \"https://u:pw12@h/\"]\n\tinsteadOf = https://h/\n", ".netrc": "-> dot/netrc",
		"dot/netrc": "machine h password p1\n", ".config/gh/hosts.yml": "github.com:\n    oauth_token: abc\n", ".zprofile": "export MAIL=a@b.org\n",
		agents + "com.maia.x.plist": agentPlist("x", "y", "--token", "abc"), agents + "com.maia.bad.plist": "no property list",
	})
	must(t, os.Chmod(h+"/.zshrc", 0o640))
	inv := takeOptions(t, Options{Root: root, Home: h, ShellFiles: []string{".config/gh"}})
	type fate struct {
		kind       vault.Kind
		redactable bool
		names      string
	}
	want := map[string]fate{
		"deep/in/production_api_credentials.py": {vault.Python, false, "API_KEY"}, "x/.netrc": {vault.Netrc, false, "h"}, "x/.env.example": {vault.Env, false, ""},
		"x/prod.env": {vault.Env, false, "A_TOKEN"}, "x/large.env": {vault.Env, false, ""}, "dot/.zshrc": {vault.Shell, true, "A_TOKEN"},
		".zshrc": {vault.Shell, true, "A_TOKEN"}, ".gitconfig": {vault.GitConfig, true, "url"}, ".netrc": {vault.Netrc, false, "h"},
		".config/gh/hosts.yml": {vault.Settings, true, "github.com.oauth_token"}, "com.maia.x.plist": {vault.Plist, true, "token"},
		"com.maia.bad.plist": {vault.Plist, false, ""},
	}
	for _, s := range inv.Secrets {
		got := fate{s.Kind, s.Redactable, strings.Join(s.Names, " ")}
		if w, ok := want[s.Path]; !ok || got != w {
			t.Errorf("%s: %+v, want %+v", s.Path, got, w)
		}
		if fi, err := os.Stat(s.Source); err != nil || s.Stat != StatOf(fi) || s.Mode != modeOf(fi) || s.Reason == "" {
			t.Errorf("%+v: %v", s, err)
		}
		if b, err := os.ReadFile(s.Source); err != nil || len(b) == 0 || slices.Contains(s.Names, string(b)) {
			t.Errorf("%s: %v", s.Path, err)
		}
	}
	if len(inv.Secrets) != len(want) {
		t.Errorf("%d secret-bearing files, want %d: %+v", len(inv.Secrets), len(want), inv.Secrets)
	}
}
