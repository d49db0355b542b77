package component

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine/vault"
)

// home makes a home folder with files.
func home(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	tree(t, dir, files)
	return dir
}

func placesAt(inv *Inventory, component string) map[string]string {
	m := map[string]string{}
	for _, e := range inv.Entries {
		if e.Component == component {
			m[e.Path] += e.Kind.String()
		}
	}
	for _, s := range inv.Secrets {
		if s.Component == component {
			m[s.Path] += "secret"
		}
	}
	for _, x := range inv.LeftOut {
		if x.Component == component {
			m[x.Path] += "left out"
		}
	}
	return m
}

func TestAgents(t *testing.T) {
	plain := agentPlist("com.maia.plain", "/usr/local/bin/python3")
	const dir = "Library/LaunchAgents/"
	h := home(t, map[string]string{
		dir + "com.maia.plain.plist":            plain,
		dir + "com.maia.binary.plist":           binaryOf(t, plain),
		dir + "com.maia.nolabel.plist":          xmlPlist("<key>Program</key><string>/bin/x</string>"),
		dir + "com.maia.token.plist":            agentPlist("com.maia.token", "/bin/x", "--token", "abc"),
		dir + "com.maia.bad.plist":              "not a property list",
		dir + "com.maia.empty.plist":            "",
		dir + "com.maia.openstep.plist":         "{ TOKEN = abc; }",
		dir + "com.maia.large.plist":            xmlPlist("<key>a</key><string>" + strings.Repeat("x", vault.MaxPlist) + "</string>"),
		dir + "com.maia.folder.plist/x":         "x",
		dir + "com.maia.fifo.plist":             "fifo",
		dir + "com.maia.linked.plist":           "-> ../../dotfiles/linked.plist",
		dir + "com.maia.dangling.plist":         "-> nowhere",
		dir + "com.maia.loop.plist":             "-> com.maia.loop.plist",
		dir + "com.maia.$(touch pwned)\n.plist": plain,
		dir + "com.koekeishiya.skhd.plist":      agentPlist("com.koekeishiya.skhd", "/opt/homebrew/bin/skhd"),
		dir + "homebrew.mxcl.nginx.plist":       agentPlist("homebrew.mxcl.nginx", "nginx"),
		dir + "com.other.plist":                 agentPlist("com.other", "x"),
		dir + "com.maia.txt":                    "x",
		"dotfiles/linked.plist":                 agentPlist("com.maia.linked", "x"),
	})
	inv := takeOptions(t, Options{Root: maia(t, nil), Home: h, Agents: []string{"homebrew.mxcl.*.plist", "[.plist"}})
	want := map[string]string{
		"com.maia.plain.plist": "file", "com.maia.binary.plist": "file", "com.maia.nolabel.plist": "file", "com.maia.token.plist": "secret",
		"com.maia.bad.plist": "secret", "com.maia.empty.plist": "secret", "com.maia.openstep.plist": "secret", "com.maia.large.plist": "secret",
		"com.maia.folder.plist": "left out", "com.maia.fifo.plist": "left out", "com.maia.linked.plist": "file", "com.maia.dangling.plist": "left out",
		"com.maia.loop.plist": "left out", "com.maia.$(touch pwned)\n.plist": "file", "com.koekeishiya.skhd.plist": "file", "homebrew.mxcl.nginx.plist": "file",
	}
	if got := placesAt(inv, LaunchAgents); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	linked := find(t, inv.Entries, func(e Entry) bool { return e.Path == "com.maia.linked.plist" })
	if linked.Source != filepath.Join(h, "dotfiles/linked.plist") || linked.Stat != statOf(t, linked.Source) {
		t.Errorf("%+v", linked)
	}
	bad := find(t, inv.Secrets, func(s SecretFile) bool { return s.Path == "com.maia.bad.plist" })
	if bad.Reason != "unreadable property list, may hold secrets" || bad.Names != nil {
		t.Errorf("%+v", bad)
	}
	token := find(t, inv.Agents, func(a Agent) bool { return a.File == "com.maia.token.plist" })
	if token.Label != "com.maia.token" || len(inv.Agents) != 8 {
		t.Errorf("%+v, %d agents", token, len(inv.Agents))
	}
	for _, s := range inv.Secrets {
		if slices.Contains(s.Names, "abc") || strings.Contains(fmt.Sprint(s), "abc") {
			t.Errorf("a value is in %+v", s)
		}
	}
}

func TestAgentsFolder(t *testing.T) {
	root := maia(t, nil)
	inv := takeOptions(t, Options{Root: root, Home: home(t, nil)})
	if len(inv.Agents) != 0 || len(inv.LeftOut) != 0 {
		t.Errorf("no folder: %+v", inv)
	}
	h, err := os.MkdirTemp("", "home")
	must(t, err)
	defer os.RemoveAll(h)
	tree(t, h, map[string]string{"Library/LaunchAgents/com.maia.x.plist": agentPlist("x", "y"), ".zshrc": "x", ".config/skhd/skhdrc": "x"})
	unprivileged(t, h, func() {
		for _, name := range []string{"Library/LaunchAgents", ".zshrc", ".config/skhd"} {
			must(t, os.Chmod(filepath.Join(h, name), 0))
		}
		inv, err := Take(t.Context(), Options{Root: h, Home: h})
		must(t, err)
		for component, want := range map[string]map[string]string{
			LaunchAgents: {"Library/LaunchAgents": "left out"}, ShellConfigs: {".zshrc": "left out", ".config/skhd": "left out"},
		} {
			if got := placesAt(inv, component); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, want %v", component, got, want)
			}
		}
		for _, x := range inv.LeftOut {
			if !x.Missing || !strings.Contains(x.Reason, "permission denied") {
				t.Errorf("%+v", x)
			}
		}
		must(t, os.Chmod(filepath.Join(h, "Library/LaunchAgents"), 0o700))
		must(t, os.Chmod(filepath.Join(h, ".config/skhd"), 0o700))
	})
}

func TestShellFiles(t *testing.T) {
	h := home(t, map[string]string{
		".zshrc": "export EDITOR=vim\nexport KEYTIMEOUT=1\n", ".zprofile": "export GITHUB_TOKEN=ghp_x\n", ".gitconfig": "[user]\n\tsigningkey = ABC\n",
		".zshenv": "-> dotfiles/zshenv", ".bash_profile": "-> nowhere", ".skhdrc": "fifo", ".yabairc": "yabai -m config layout bsp\n",
		".config/skhd/skhdrc": "cmd - return : open\n", ".config/skhd/empty/": "", ".config/skhd/linked": "-> ../../dotfiles/zshenv",
		".config/skhd/inner": "-> empty", ".config/skhd/gone": "-> nowhere", ".config/skhd/secret.sh": "export API_KEY=x\n", ".config/skhd/.env": "",
		".config/yabai": "-> ../dotfiles/yabai", ".gitignore_global": "*.o\n", ".config/maia-dr/config.toml": "[git]\nkeep_history = true\n",
		"dotfiles/zshenv": "x\n", "dotfiles/yabai/yabairc": "x\n", "dotfiles/yabai/up": "-> ..", ".vimrc": "set nocompatible\n", ".netrc": "machine x password y\n",
		".config/gh/hosts.yml": "github.com:\n    oauth_token: gho_x\n", ".config/gh/config.yml": "editor: vim\n", ".bashrc": "x", "big.sh": strings.Repeat("x", maxScanned+1),
		".state/x": "x",
	})
	inv := takeOptions(t, Options{
		Root: maia(t, nil), Home: h, Own: []FileID{statOf(t, h+"/.state").ID()},
		ShellFiles: []string{".vimrc", "~/.config/gh", ".zshrc", h + "/big.sh", "../outside", "/etc/passwd", ".missing", ".state"},
	})
	want := map[string]string{
		".zshrc": "file", ".zprofile": "secret", ".gitconfig": "file", ".zshenv": "file", ".bash_profile": "left out", ".skhdrc": "left out", ".yabairc": "file",
		".config/skhd": "directory", ".config/skhd/skhdrc": "file", ".config/skhd/empty": "directory", ".config/skhd/linked": "file",
		".config/skhd/inner": "symlink", ".config/skhd/gone": "symlink", ".config/skhd/secret.sh": "secret", ".config/skhd/.env": "secret",
		".config/yabai": "directory", ".config/yabai/yabairc": "file", ".config/yabai/up": "symlink", ".gitignore_global": "file",
		".config/maia-dr/config.toml": "file", ".vimrc": "file", ".config/gh": "directory", ".config/gh/hosts.yml": "secret", ".config/gh/config.yml": "file",
		"big.sh": "secret", "../outside": "left out", "/etc/passwd": "left out", ".netrc": "secret",
	}
	if got := placesAt(inv, ShellConfigs); !reflect.DeepEqual(got, want) {
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %q, want %q", k, got[k], v)
			}
		}
		for k, v := range got {
			if want[k] == "" {
				t.Errorf("%s: %q is too much", k, v)
			}
		}
	}
	if e := find(t, inv.Entries, func(e Entry) bool { return e.Path == ".zshenv" }); e.Source != filepath.Join(h, "dotfiles/zshenv") || e.Kind != File {
		t.Errorf("%+v", e)
	}
	if s := find(t, inv.Secrets, func(s SecretFile) bool { return s.Path == ".zprofile" }); !slices.Equal(s.Names, []string{"GITHUB_TOKEN"}) {
		t.Errorf("%+v", s)
	}
}

// TestSecretsStaySecretUnderAnotherName keeps a personal file with a secret out of the code as well.
func TestSecretsStaySecretUnderAnotherName(t *testing.T) {
	root := maia(t, map[string]string{
		"dotfiles/zshrc": "export API_KEY=x\n", "dotfiles/zprofile": "fine\n", "launchd/com.maia.copy.plist": agentPlist("x", "y", "--token", "abc"),
		"launchd/com.maia.fine.plist": agentPlist("x", "y"), "launchd/com.maia.bad.plist": "a text", "hard": "export OTHER_KEY=x\n",
	})
	h := home(t, map[string]string{".zshrc": "-> " + root + "/dotfiles/zshrc", ".zprofile": "-> " + root + "/dotfiles/zprofile"})
	must(t, os.Link(root+"/hard", h+"/.zshenv"))
	inv := takeOptions(t, Options{Root: root, Home: h})
	for path, want := range map[string]string{
		"dotfiles/zshrc": "secret", "dotfiles/zprofile": "maia_code file", "launchd/com.maia.copy.plist": "secret",
		"launchd/com.maia.fine.plist": "maia_code file", "launchd/com.maia.bad.plist": "maia_code file", "hard": "secret",
	} {
		if got := placeOf(inv, path); got != want {
			t.Errorf("%s stands at %q, want %q", path, got, want)
		}
	}
	if got := placesAt(inv, ShellConfigs); got[".zshrc"] != "secret" || got[".zprofile"] != "file" || got[".zshenv"] != "secret" {
		t.Errorf("%v", got)
	}
}

// TestRootAboveHome has home under the root: the ledger of the root still balances.
func TestRootAboveHome(t *testing.T) {
	root := t.TempDir()
	tree(t, root, map[string]string{"home/.zshrc": "x", "home/.zprofile": "export TOKEN=x", "home/Library/LaunchAgents/com.maia.x.plist": agentPlist("x", "y")})
	inv := takeOptions(t, Options{Root: root, Home: root + "/home"})
	if placeOf(inv, "home/.zshrc") != "maia_code file" || placesAt(inv, ShellConfigs)[".zshrc"] != "file" {
		t.Errorf("%+v", inv.Entries)
	}
	if placeOf(inv, "home/.zprofile") != "secret" {
		t.Error("a secret is captured as code")
	}
	if l := inv.Ledger(); l.Total != 3 || l.Secret != 1 {
		t.Errorf("%+v", l)
	}
}
