package vault

import (
	"slices"
	"strings"
	"unicode"
)

// words splits a variable's name at everything that is no letter or digit and where the case says that a word begins:
// api-key, API_KEY, apiKey and APIKey are all api and key.
func words(name string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		if unicode.IsUpper(r) && i > 0 {
			afterLower := unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])
			beforeLower := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if afterLower || beforeLower && unicode.IsUpper(runes[i-1]) {
				flush()
			}
		}
		word = append(word, r)
	}
	flush()
	return out
}

// keyWords are written together so often that the word in them must be known. MONKEY, KEYMAP and KEYTIMEOUT are not
// among them.
var keyWords = []string{
	"key", "keys", "apikey", "apikeys", "accesskey", "secretkey", "privatekey", "authkey", "masterkey", "encryptionkey",
	"licensekey", "accountkey", "storagekey", "clientkey", "appkey", "servicekey", "sshkey",
}

// weakWords are in names of secrets, and of much else: the value has to look like one too.
var weakWords = []string{"auth", "authorization", "private", "cookie", "bearer", "dsn", "webhook", "signature"}

// tails end names that say something about a secret instead of being one: token_type, secret_name.
var tails = []string{
	"name", "type", "header", "prefix", "suffix", "expiry", "expires", "env", "var", "field", "label", "algorithm", "alg", "format", "mode",
	"policy", "version", "provider", "manager", "store", "helper", "scope", "scopes", "status", "count", "fingerprint",
}

// identifierTails end names of what is personal and opens nothing.
var identifierTails = []string{
	"url", "uri", "host", "hostname", "endpoint", "email", "mail", "user", "username", "login", "site", "domain", "instance", "tenant", "server",
}

// owners are whose id is personal, as in AZURE_CLIENT_ID.
var owners = []string{
	"tenant", "client", "user", "account", "app", "application", "directory", "org", "organization", "workspace", "subscription", "object",
}

type strength uint8

const (
	none strength = iota
	weak
	strong
)

// strengthOf says how much a name sounds like that of a secret.
func strengthOf(name string) strength {
	ws := words(name)
	s := none
	for i, w := range ws {
		last := i == len(ws)-1
		switch {
		case strings.Contains(w, "passw"), strings.HasPrefix(w, "passphrase"),
			strings.HasSuffix(w, "token"), strings.HasSuffix(w, "tokens"),
			strings.HasSuffix(w, "secret"), strings.HasSuffix(w, "secrets"),
			w == "credential", w == "credentials", slices.Contains(keyWords, w),
			last && w == "pass", last && i > 0 && w == "pwd",
			last && i > 0 && w == "pat" && name == strings.ToUpper(name): // GITHUB_PAT
			s = strong
		case slices.Contains(weakWords, w), w == "string" && i > 0 && ws[i-1] == "connection":
			s = max(s, weak)
		}
	}
	if s == strong && slices.Contains(tails, ws[len(ws)-1]) {
		s = weak
	}
	return s
}

// holds reports whether a name is that of a table of secrets: TOKENS, credentials, and not token_count_office.
func holds(name string) bool {
	ws := words(name)
	return len(ws) > 0 && strengthOf(name) == strong && strengthOf(ws[len(ws)-1]) == strong
}

// identifies reports whether a name is that of something personal.
func identifies(name string) bool {
	ws := words(name)
	if len(ws) == 0 {
		return false
	}
	last := ws[len(ws)-1]
	return slices.Contains(identifierTails, last) || last == "id" && len(ws) > 1 && slices.Contains(owners, ws[len(ws)-2])
}

// publicWords are in names of what looks random and can be known to everyone.
var publicWords = []string{
	"sha", "sha1", "sha256", "sha512", "md5", "hash", "digest", "checksum", "integrity", "commit", "rev", "revision", "ref", "etag", "uuid", "guid",
	"version", "resolved", "nonce", "cursor", "label", "path", "file", "dir", "image", "fingerprint", "id", "signingkey",
}

func public(name string) bool {
	return slices.ContainsFunc(words(name), func(w string) bool { return slices.Contains(publicWords, w) })
}
