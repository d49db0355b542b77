package vault

import (
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for name, want := range map[string]string{
		"API_KEY": "api key", "apiKey": "api key", "APIKey": "api key", "api-key": "api key", "some.apiKey2x": "some api key2x", "HTTPServerURL": "http server url",
		"a": "a", "": "", "__": "", "ÜBERKey": "über key", "x2Token": "x2 token",
	} {
		if got := strings.Join(words(name), " "); got != want {
			t.Errorf("words(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestSecretNames(t *testing.T) {
	for name := range strings.FieldsSeq(`TOKEN token GITHUB_TOKEN githubToken GITHUBTOKEN API_KEY apiKey APIKEY api-key OPENAI_API_KEY SECRET
		CLIENT_SECRET clientSecret SECRET_KEY SECRETKEY PASSWORD PASSWD passwd PGPASSWORD DB_PASSWORD MAIA_VAULT_PASSWORD vault-password DB_PASS
		passphrase AWS_ACCESS_KEY_ID KEY keys API_TOKENS CREDENTIALS GITHUB_PAT MYSQL_PWD TRELLO_API_TOKEN`) {
		if strengthOf(name) != strong {
			t.Errorf("%s is called like a secret", name)
		}
	}
	for name := range strings.FieldsSeq(`KEYBOARD MONKEY KEYMAP KEYTIMEOUT HOTKEY TURKEY keyboardLayout bindkey TOKENIZERS_PARALLELISM PATH PWD OLDPWD
		COMPASS BYPASS SSH_ASKPASS SECRETARY file_pat KeepAlive EDITOR HISTFILE signingkey autocrlf Label MAIA_ROOT MAIA_PHASE`) {
		if strengthOf(name) == strong {
			t.Errorf("%s is not called like a secret", name)
		}
	}
}

func TestSecretsInText(t *testing.T) {
	for text, want := range map[string]string{
		"export GITHUB_TOKEN=ghp_x":                               "GITHUB_TOKEN",
		"export GITHUB_TOKEN=\"ghp x\"":                           "GITHUB_TOKEN",
		"  TOKEN='x'; export TOKEN":                               "TOKEN",
		"# export OLD_TOKEN=abc":                                  "OLD_TOKEN",
		"export A=1 B_SECRET=2 C=3":                               "B_SECRET",
		"typeset -x DB_PASSWORD=x":                                "DB_PASSWORD",
		"alias c='API_KEY=abc curl x'":                            "API_KEY",
		"alias c='curl --api-key=abc'":                            "api-key",
		"curl 'https://x.org/?access_token=abc'":                  "access_token",
		"TOKEN+=abc":                                              "TOKEN",
		"TOKEN=$'abc'":                                            "TOKEN",
		"TOKEN=\"\"abc":                                           "TOKEN",
		"TOKEN=\"first line":                                      "TOKEN",
		"export TOKEN=${OTHER:-abc}":                              "TOKEN",
		"export TOKEN=${OTHER}":                                   "",
		"export TOKEN=${OTHER}abc":                                "TOKEN",
		"export TOKEN=${OTHER:-}":                                 "",
		"export X=${MY_TOKEN:-abc}":                               "MY_TOKEN",
		": ${API_KEY:=abc}":                                       "API_KEY",
		"set -gx NOTION_API_KEY secret_x":                         "NOTION_API_KEY",
		"set --export NOTION_API_KEY secret_x":                    "NOTION_API_KEY",
		"setenv PASSWD x":                                         "PASSWD",
		"token = ghp_x":                                           "token",
		"\ttoken=ghp_x\r":                                         "token",
		"export PASSWORD=1234":                                    "PASSWORD",
		"API_KEYS=(a b)":                                          "API_KEYS",
		"git clone https://user:pw@example.org/x":                 "url-password",
		"git clone https://ghp_0123456789abcdefghij@github.com/x": "url-password",
		"K='-----BEGIN OPENSSH PRIVATE KEY-----":                  "",
		"export TOKEN=\xff\xfe":                                   "TOKEN",
		"export TOKEN":                                            "",
		"export TOKEN=":                                           "",
		"export TOKEN=\"\"":                                       "",
		"export TOKEN='' # none":                                  "",
		"TOKEN=;":                                                 "",
		"export TOKEN=$OTHER_TOKEN":                               "",
		"export TOKEN=\"${OTHER_TOKEN}\"":                         "",
		"export TOKEN=$(security find-generic-password -s \"x\" -w)": "",
		"export TOKEN=\"$(gh auth token)\"":                          "",
		"export TOKEN=`op read op://x/y`":                            "",
		"export TOKEN=$(echo abc | base64 -d)":                       "TOKEN",
		"export USE_TOKEN=true":                                      "",
		"export MAX_TOKENS=4096":                                     "",
		"export TOKEN_LIMIT=many":                                    "TOKEN_LIMIT",
		"export SSH_KEY_PATH=~/.ssh/id":                              "",
		"export PASSWORD_STORE_DIR=$HOME/.store":                     "",
		"export KEYTIMEOUT=1":                                        "",
		"export KEYBOARD=us":                                         "",
		"[ \"$TOKEN\" = x ] && [ $TOKEN == x ] && [[ $KEY =~ x ]]":   "",
		"if [[ -n $TOKEN ]]; then X=1; fi":                           "",
		"echo token = abc":                                           "",
		"key[Home]=\"${terminfo[khome]}\"":                           "",
		"local key=$1":                                               "",
		"local key=\"${(q)1}\"":                                      "",
		"bindkey '^[[A' history-search-backward":                     "",
		"zstyle ':completion:*' menu select":                         "",
		"cmd - return : open -n /Applications/iTerm.app":             "",
		"git clone git@github.com:x/y.git":                           "",
		"git clone https://naythan@dev.azure.com/x":                  "",
		"curl https://$USER:$TOKEN@example.org":                      "",
		"curl http://localhost:8080/@x":                              "",
		"\tsigningkey = ABCDEF":                                      "",
		"\thelper = osxkeychain":                                     "",
		"secrets: see the wiki":                                      "",
		"":                                                           "",
	} {
		if got := strings.Join(namesIn(t, Shell, text), " "); got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"token: abc": "token", "  - api_key: abc": "api_key", `{"a": 1, "apiKey": "x"}`: "apiKey", `{"apiKey": ""}`: "", "tokens:\n  - abc": "",
	} {
		if got := strings.Join(namesIn(t, Settings, text), " "); got != want {
			t.Errorf("in settings, %q: found %q, want %q", text, got, want)
		}
	}
}

// namesIn returns the names of the secrets that are found, sorted, each once.
func namesIn(t testing.TB, kind Kind, text string) []string {
	t.Helper()
	secrets, err := Find(kind, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range secrets {
		if !s.Identifier {
			name, _, _ := strings.Cut(s.Name, "~")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
