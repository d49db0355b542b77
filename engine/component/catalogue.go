package component

import (
	"path"
	"slices"
	"strings"
)

// The components, in the order of an inventory's entries.
const (
	Code           = "maia_code"
	DataSmall      = "maia_data_small"
	DataLarge      = "maia_data_large"
	LaunchAgents   = "launchagents"
	Dependencies   = "dependencies"
	ShellConfigs   = "shell_configs"
	Secrets        = "secrets"
	SystemMetadata = "system_metadata"
)

// Names returns the components in their order.
func Names() []string {
	return []string{Code, DataSmall, DataLarge, LaunchAgents, Dependencies, ShellConfigs, Secrets, SystemMetadata}
}

// Order returns a component's place in Names.
func Order(name string) int { return slices.Index(Names(), name) }

// DefaultAgents are the patterns of the agents that are always captured.
func DefaultAgents() []string { return []string{"com.maia.*.plist", "com.koekeishiya.skhd.plist"} }

// DefaultShellFiles are the files and folders under home that are always captured, where they are.
func DefaultShellFiles() []string {
	return []string{
		".zshrc", ".zprofile", ".gitconfig", ".zshenv", ".bash_profile", ".skhdrc", ".yabairc", ".config/skhd",
		".config/yabai", ".gitignore_global", ".config/maia-dr/config.toml",
	}
}

// agentsDir is where a user's agents lie, under home.
const agentsDir = "Library/LaunchAgents"

// DefaultLargeDatabase is the size from which on a database is a stream of its own.
const DefaultLargeDatabase = 10 << 20

// dataDir holds the data of a Maia, logsDir what its programs log.
const (
	dataDir = "claude/data"
	logsDir = "claude/data/logs"
)

// The rules that exclude something, by their names. A rule of the configuration is ConfigRule and its pattern.
const (
	RuleOwn       = "own"
	RuleGit       = ".git/"
	RuleLogs      = "claude/data/logs/"
	RulePycache   = "__pycache__/"
	RuleVenv      = "venv"
	RuleSidecar   = "sqlite-sidecar"
	RuleProcessed = "vtt_processed.json"
	RuleLog       = "*.log"
	RulePID       = "*.pid"
	ConfigRule    = "config: "
)

// builtinRules is the order in which exclusions are listed.
var builtinRules = []string{
	RuleGit, RuleLogs, RuleLog, RulePID, RuleProcessed, RulePycache, RuleVenv, RuleSidecar, RuleOwn,
}

// folderRule returns the rule that excludes a folder by its name, or "". What a Maia's programs make again is only
// excluded in a Maia: of any other folder everything is meant.
func folderRule(rel string, keepGit, maia bool) string {
	switch {
	case path.Base(rel) == ".git" && !keepGit:
		return RuleGit
	case rel == logsDir && maia:
		return RuleLogs
	case path.Base(rel) == "__pycache__" && maia:
		return RulePycache
	}
	return ""
}

// fileRule returns the rule that excludes a regular file of a Maia by its name, or "".
func fileRule(name string) string {
	switch {
	case name == "vtt_processed.json":
		return RuleProcessed
	case strings.HasSuffix(name, ".log"):
		return RuleLog
	case strings.HasSuffix(name, ".pid"):
		return RulePID
	}
	return ""
}

// sidecarOf returns the name of the file that a name would be a sidecar of, or "".
func sidecarOf(name string) string {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			return base
		}
	}
	return ""
}

// venvParts are what tools that make virtual environments put into them, by name. A folder that has anything else is
// somebody's work with an environment inside.
var venvParts = []string{
	"bin", "Scripts", "include", "Include", "lib", "Lib", "lib64", "share", "etc", "man", "local", "doc", "pyvenv.cfg",
	"pip-selfcheck.json", ".gitignore", ".hgignore", "CACHEDIR.TAG", ".lock", ".Python", "__pycache__", ".DS_Store",
	"conda-meta", "ssl",
}
