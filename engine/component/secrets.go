package component

import (
	"errors"
	"path"
	"strings"
)

// maxScanned is the largest file that is looked through for secrets.
const maxScanned = 8 << 20

// Why a file is secret-bearing.
const (
	reasonCredentials = "it holds credentials"
	reasonEnvironment = "it is an environment file"
	reasonNetrc       = "it holds passwords for hosts"
	reasonVariables   = "it has variables that are called like secrets"
	reasonPlist       = "unreadable property list, may hold secrets"
	reasonLarge       = "too large to be looked through, may hold secrets"
	reasonRemote      = "it has the address of a remote with a password in it"
)

// secretUnderRoot returns the file if it is secret-bearing, else nil. The file is opened only if its name, or its
// being a personal file as well, makes it a candidate.
func (w *walker) secretUnderRoot(rel, name string, id FileID) *SecretFile {
	s := &SecretFile{Component: w.componentOf(rel, File, 0), Path: rel, Source: w.abs(rel)}
	if same := w.secretIDs[id]; same != nil {
		s.Reason, s.Names = same.Reason, same.Names
		return s
	}
	code := style{spaced: true, colon: true}
	switch {
	case name == "production_api_credentials.py" && strings.HasPrefix(rel, "claude/tools/"):
		s.Reason, s.Names = reasonCredentials, namesIn(s.Source, id, code)
	case strings.HasPrefix(name, ".env"):
		s.Reason, s.Names = reasonEnvironment, namesIn(s.Source, id, style{spaced: true})
	case name == ".netrc":
		s.Reason = reasonNetrc
	case strings.HasSuffix(name, ".env"):
		s.Reason, s.Names = reasonEnvironment, namesIn(s.Source, id, style{spaced: true})
		if len(s.Names) == 0 {
			return nil
		}
	case isGitConfig(rel, name):
		s.Reason, s.Names = reasonRemote, namesIn(s.Source, id, style{spaced: true})
		if len(s.Names) == 0 {
			return nil
		}
	case isMaiaAgent(name):
		// A copy of an agent in the tree. One that is no property list is text like any other.
		b, err := readSmall(s.Source, id, maxPlist)
		if err != nil {
			return nil
		}
		top, err := readPlist(b)
		if err != nil {
			return nil
		}
		if s.Reason, s.Names = reasonVariables, plistSecrets(b, top); len(s.Names) == 0 {
			return nil
		}
	default:
		return nil
	}
	return s
}

// isGitConfig knows a repository's configuration; it is only met where the history is kept.
func isGitConfig(rel, name string) bool {
	return (name == "config" || name == "config.worktree") && strings.Contains("/"+rel, "/.git/")
}

func isMaiaAgent(name string) bool {
	ok, err := path.Match(DefaultAgents()[0], name)
	return ok && err == nil
}

// namesIn returns the names of the secrets in a file as far as it can be read.
func namesIn(source string, id FileID, s style) []string {
	b, err := readSmall(source, id, maxScanned)
	if err != nil {
		return nil
	}
	return secretsIn(string(b), s)
}

// textSecret looks through a personal text file. reason is empty if there is no secret in it. The error is that of
// reading it.
func textSecret(source, name string, id FileID) (reason string, names []string, err error) {
	b, err := readSmall(source, id, maxScanned)
	if errors.Is(err, errLarge) {
		return reasonLarge, nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	ext := path.Ext(name)
	colon := ext == ".json" || ext == ".yml" || ext == ".yaml"
	if names = secretsIn(string(b), style{spaced: true, colon: colon}); len(names) > 0 {
		return reasonVariables, names, nil
	}
	return "", nil, nil
}

// agentSecret looks through an agent's property list. One that cannot be understood is taken for secret-bearing: it
// cannot be shown that it is not.
func agentSecret(source, file string, id FileID) (a *Agent, reason string, names []string, err error) {
	b, err := readSmall(source, id, maxPlist)
	if errors.Is(err, errLarge) {
		return nil, reasonPlist, nil, nil
	}
	if err != nil {
		return nil, "", nil, err
	}
	top, err := readPlist(b)
	if err != nil {
		return nil, reasonPlist, nil, nil
	}
	agent := agentOf(file, top)
	if names = plistSecrets(b, top); len(names) > 0 {
		reason = reasonVariables
	}
	return &agent, reason, names, nil
}
