package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Values that look like the makers' and open nothing; in pieces, so that no scanner takes this file for a leak.
var (
	fakeGitHub = "ghp" + "_aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2"
	fakeOpenAI = "sk" + "-proj-aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2bC4"
	fakeAWS    = "AKI" + "AQ2W3E4R5T6Y7U2I3"
	fakeKey    = "-----BEGIN " + "PRIVATE KEY-----\n" + strings.Repeat("aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY\n", 4) + "-----END " + "PRIVATE KEY-----"
	fakeJWT    = "ey" + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.aB3dE5fG7hJ9kL1mN2pQ4rS6tU8v"
)

// valuesIn returns what is found as NAME=value, identifiers as NAME~value, sorted.
func valuesIn(t testing.TB, kind Kind, text string) string {
	t.Helper()
	secrets, err := Find(kind, []byte(text))
	must(t, err)
	var list []string
	for _, s := range secrets {
		sign := "="
		if s.Identifier {
			sign = "~"
		}
		list = append(list, s.Name+sign+string(s.Value))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// cases compares what is found in texts of a kind.
func cases(t *testing.T, kind Kind, want map[string]string) {
	t.Helper()
	for _, text := range slices.Sorted(maps.Keys(want)) {
		if got := valuesIn(t, kind, text); got != want[text] {
			t.Errorf("%v %q: found %q, want %q", kind, text, got, want[text])
		}
	}
}

func TestEnv(t *testing.T) {
	cases(t, Env, map[string]string{
		"TOKEN=abc":                           "TOKEN=abc",
		"export TOKEN='a b'  # note":          "TOKEN=a b",
		"TOKEN=\"a\\\"b\\n\"":                 "TOKEN=a\"b\n",
		"TOKEN=\"line\nTOKEN2=inner\"\nA=1":   "TOKEN=line\nTOKEN2=inner",
		"PASSWORD = a#b # note":               "PASSWORD=a#b",
		"# OLD_TOKEN=abc":                     "OLD_TOKEN=abc",
		"TOKEN=\nX=1":                         "",
		"TOKEN=${TOKEN}":                      "",
		"X=${A_TOKEN:-abc}":                   "A_TOKEN=abc",
		"TOKEN=abc\r\nX=2\r\n":                "TOKEN=abc",
		"DATABASE_URL=postgres://u:pw1@h/db":  "DATABASE_URL=pw1",
		"SITE_URL=https://example.org/x":      "SITE_URL~https://example.org/x",
		"AZURE_TENANT_ID=abc":                 "AZURE_TENANT_ID~abc",
		"X=" + fakeGitHub:                     "X=" + fakeGitHub,
		"X=https://h/?x=" + fakeGitHub:        "X=" + fakeGitHub,
		"K=\"" + fakeKey + "\"":               "K=" + fakeKey,
		"ANY=q8Zx3Lm0Vt7Rk2Np9Wd4Hs6J":        "ANY=q8Zx3Lm0Vt7Rk2Np9Wd4Hs6J",
		"COMMIT_SHA=q8Zx3Lm0Vt7Rk2Np9Wd4Hs6J": "",
		"CONN_DSN=Server=x;Password=pw1;":     "CONN_DSN=pw1",
	})
}

func TestShellValues(t *testing.T) {
	cases(t, Shell, map[string]string{
		`export TOKEN="a\"b\$c"`:                                          `TOKEN=a"b$c`,
		`export TOKEN='a'"b"c\ d; X=1`:                                    "TOKEN=abc d",
		`TOKEN=$'a\tb\x41\u00e9\'c'`:                                      "TOKEN=a\tbAé'c",
		"TOKEN=\"one\ntwo\"\nX=1":                                         "TOKEN=one\ntwo",
		`alias x='TOKEN=abc curl'`:                                        "TOKEN=abc",
		`alias x='TOKEN=abc'`:                                             "TOKEN=abc",
		`alias x="TOKEN='a b' curl"`:                                      "TOKEN=a b",
		`alias x="TOKEN=\"a b\" curl"`:                                    "TOKEN=a b",
		`alias x='curl --token abc -X'`:                                   "token=abc",
		`curl -H "Authorization: Bearer abcdef012345" x`:                  "Authorization=abcdef012345",
		`curl -H "Authorization: Bearer $TOKEN" x`:                        "",
		"cat <<EOF\ndon't\nEOF\nTOKEN='a b'\n":                            "TOKEN=a b",
		"# don't\nTOKEN='a b'\n":                                          "TOKEN=a b",
		"x=\"it's\"\nalias y='A_TOKEN=abc'\n":                             "A_TOKEN=abc",
		"TOKEN=a\\\nb":                                                    "TOKEN=ab",
		"git clone https://" + fakeGitHub + ":x-oauth-basic@github.com/x": "url-password=" + fakeGitHub,
		"echo " + fakeOpenAI:                                              "api-key=" + fakeOpenAI,
		"TOKEN=abc\nTOKEN=def\nTOKEN=abc\n":                               "TOKEN=abc TOKEN~2=def",
	})
}

func TestNetrc(t *testing.T) {
	cases(t, Netrc, map[string]string{
		"machine a.org login u password p1":                            "a.org.login~u a.org=p1",
		"machine a.org\n\tlogin u\n\tpassword \"p \\\"1\"\n":           "a.org.login~u a.org=p \"1",
		"default login anonymous password me1 account acct":            "default.account=acct default.login~anonymous default=me1",
		"machine a\nmacdef init\npassword no\n\nmachine b password p2": "b=p2",
		"# machine a password no\nmachine b\npassword\np3\n":           "password=p3",
		"machine a login x password ":                                  "a.login~x",
	})
}

func TestGitConfig(t *testing.T) {
	cases(t, GitConfig, map[string]string{
		"[remote \"origin\"]\n\turl = https://user:pw1@h.org/x.git\n":           "remote.origin.url=pw1",
		"[remote \"origin\"]\n\turl = git@h.org:x.git\n":                        "remote.origin.url~git@h.org:x.git",
		"[url \"https://u:pw1@h.org/\"]\n\tinsteadOf = https://h.org/\n":        "url.insteadOf~https://h.org/ url=pw1",
		"[http]\n\textraheader = \"AUTHORIZATION: basic YWJjOmRlZg==\"\n":       "http.extraheader=YWJjOmRlZg==",
		"[github]\n\ttoken = abc ; note\n# password = old\n":                    "github.password=old github.token=abc",
		"[credential]\n\thelper = osxkeychain\n[user]\n\tsigningkey = ABCDEF\n": "",
		"[user]\n\temail = a@b.org\n":                                           "user.email~a@b.org",
		"https://u:pw1@h.org\n":                                                 "url-password=pw1",
	})
}

func TestSettings(t *testing.T) {
	cases(t, Settings, map[string]string{
		`{"a": {"api_key": "x1", "n": [1, {"token": "y1"}]}}`:                              "a.api_key=x1 a.n.token=y1",
		`{"pin_password": 1234, "max_tokens": 4096, "tokens": 12}`:                         "pin_password=1234",
		`{"password": "a\"bé"}`:                                                            "password=a\"bé",
		`{"mcp": {"args": ["--token", "abc", "--x=1"], "env": {"A_KEY": "k1"}}}`:           "mcp.env.A_KEY=k1 token=abc",
		`{"command": "curl --api-key=abc x"}`:                                              "api-key=abc",
		"// note\n{\n  \"token\": \"abc\", // note\n}\n":                                   "token=abc",
		"{\"token\": \"a\"}\n{\"token\": \"b\"} 5 \"x\"\n":                                 "token=a token~2=b",
		"a:\n  token: abc # note\n  b:\n  - secret: s1\nuser: u\n":                         "a.b.secret=s1 a.token=abc user~u",
		"key: |\n  one\n  two\napi_key: |\n  one\n  two\nx: 1\n":                           "api_key=one\ntwo",
		"flow: {token: abc, b: [1]}\n":                                                     "flow.token=abc",
		"[a.b]\ntoken = \"abc\"\n# password = 'old'\nports = [1]\npass = \"\"\"x\ny\"\"\"": "a.b.pass=x\ny a.b.password=old a.b.token=abc",
		"tokens:\n  - abcdef0123\n":                                                        "tokens=abcdef0123",
		"keyboard: us\nauthors: me\ntokenizer_path: /x\nkey: name\nauth: basic\n":          "",
		"secret: <your secret>\npassword: changeme\ntoken: ${TOKEN}\napi_key: sk-xxxxxx":   "",
		"credentials:\n  user: me\n  github: " + fakeGitHub:                                "credentials.github=" + fakeGitHub + " credentials.user~me",
	})
}

func TestText(t *testing.T) {
	for _, v := range []string{fakeGitHub, fakeOpenAI, fakeAWS, fakeKey, fakeJWT} {
		for _, text := range []string{v, "x = '" + v + "'", "(" + v + ").", strings.Repeat("x ", 1000) + v + "\n"} {
			if got := valuesIn(t, Text, text); !strings.HasSuffix(got, "="+v) {
				t.Errorf("%q: found %q", text, got)
			}
		}
	}
	cases(t, Text, map[string]string{
		"x" + fakeGitHub: "", fakeAWS + "X": "", fakeGitHub[:20]: "", "TOKEN=abc": "", "sk-spinner-bounce-delay-animation-name": "",
		"ghp_" + strings.Repeat("x", 36): "", "AKIAIOSFODNN7EXAMPLE": "", "-----BEGIN PRIVATE KEY-----": "", "-----BEGIN CERTIFICATE-----": "",
		"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----": "", "eyJhbGciOiJIUzI1NiJ9.x.y": "", "": "", "s": "", "sk-": "",
	})
}

// TestEveryProviderIsFound holds that each prefix can be found, and that the marks of all fit.
func TestEveryProviderIsFound(t *testing.T) {
	if len(providers) > 63 {
		t.Fatalf("%d prefixes", len(providers))
	}
	for _, p := range providers {
		rest := ""
		for i := 0; len(rest) < p.min; i++ {
			if c := "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYbCe6Fd"[i%38]; p.alphabet[c] {
				rest += string(c)
			}
		}
		if p.check != nil {
			continue // its own test has it
		}
		v := p.prefix + rest
		found, err := Find(Text, []byte("see "+v+" there"))
		must(t, err)
		if len(found) != 1 || string(found[0].Value) != v {
			t.Errorf("%s: found %v", p.prefix, found)
		}
	}
}

func TestKindOf(t *testing.T) {
	for p, want := range map[string]Kind{
		"a/production_api_credentials.py": Python, ".env": Env, "x/.env.local": Env, "prod.env": Env, ".netrc": Netrc, ".gitconfig": GitConfig,
		".git/config": GitConfig, "x/.git/modules/y/config": GitConfig, ".config/git/config": GitConfig, ".zshrc": Shell, "run.sh": Shell,
		"com.maia.x.plist": Plist, "x.json": Settings, "x.toml": Settings, ".config/gh/hosts.yml": Settings,
	} {
		if got, ok := KindOf(p); got != want || !ok {
			t.Errorf("%s is %v, %v", p, got, ok)
		}
	}
	for _, p := range []string{"config", "x.py", "README", "", "netrc", "environment"} {
		if got, ok := KindOf(p); ok || got != Text {
			t.Errorf("%q is %v", p, got)
		}
	}
}

func TestNoFormatPrintsAValue(t *testing.T) {
	s := Secret{Name: "TOKEN", Value: []byte("hunter2"), Line: 3}
	b, err := json.Marshal(map[string]any{"a": s, "b": []Secret{s}})
	must(t, err)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "p", &s)
	text := fmt.Sprintf("%v %+v %#v %s %q %x %d %v %v %+v", s, s, s, s, s, s, s, &s, []Secret{s}, struct{ S Secret }{s}) + string(b) + log.String()
	for _, bad := range []string{"hunter2", "68756e74657232", "104 117", "aHVudGVyMg"} {
		if strings.Contains(text, bad) {
			t.Errorf("the value is printed: %s", text)
		}
	}
	if !strings.Contains(text, "TOKEN in line 3") {
		t.Errorf("the name is not printed: %s", text)
	}
}

func TestLines(t *testing.T) {
	for kind, text := range map[Kind]string{
		Shell: "a\nb\nTOKEN=x1\n", Env: "\n\nTOKEN=x1", Python: "# x\n\nTOKEN = 'x1'\n", Settings: "a: 1\nb: 2\ntoken: x1\n", Netrc: "\n\nmachine h password x1",
		Text: "\n\n" + fakeGitHub, GitConfig: "[a]\n\ntoken = x1\n",
	} {
		found, err := Find(kind, []byte(text))
		must(t, err)
		if len(found) != 1 || found[0].Line != 3 {
			t.Errorf("%v: %v", kind, found)
		}
	}
}

// TestMuchIsFoundInTime holds that no finder takes more than a time that grows with the text: in minutes, if one did.
func TestMuchIsFoundInTime(t *testing.T) {
	const n = 1 << 12
	for kind, units := range map[Kind][]string{
		Shell:  {"A_TOKEN=ab%d ", "A_TOKEN=ab%d\n", "alias x%d='A_TOKEN=\"", "$(${(", "TOKEN=(", "<<EOF "},
		Env:    {"A_TOKEN=ab%d\n", "A_TOKEN=\"%d\n"},
		Python: {"A_TOKEN='ab%d'\n", "x%d # B_KEY = 'a%d'\n", "((((", "f'{{{", "'''", "[{("},
		Text:   {"ghp_", "-----BEGIN PRIVATE KEY-----\n", "eyJ%d.", "sk-"},
		Settings: {
			"a%d_token: ab%d\n", "{\"token\":", "[", "token: |\n", "{token: %d,",
		},
		Netrc: {"machine a%d password b%d ", "password\n", "\""}, GitConfig: {"[a \"b%d\"]\n token = x%d\n", "https://a:b%d@"},
	} {
		for _, unit := range units {
			var b strings.Builder
			for i := range n {
				b.WriteString(strings.ReplaceAll(unit, "%d", fmt.Sprint(i)))
			}
			found, err := Find(kind, []byte(b.String()))
			must(t, err)
			if !kind.Redactable() || len(found) == 0 {
				continue
			}
			if _, err := Redact(kind, []byte(b.String()), found); err != nil && !errors.Is(err, ErrRemains) {
				t.Errorf("%v %q: %v", kind, unit, err)
			}
		}
	}
}
