package vault

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestExpressionsNeed: what an expression is said to need stands in all that it matches.
func TestExpressionsNeed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	parts := []string{
		"=", ":", "--", "-", "<<", "${", "}", "@", ".", "://", " ", "\t", "\v", "\n", "\u00a0", "set", "setenv", "\u017fet", "a", "token", "to\u212aen", "Bearer",
		"basic", "authorization", "password", "PWD", ";", "A_B", "0123", "abcdefgh", "\"", "'", "+=", "#", "x-api-key",
	}
	for what, c := range map[string]struct {
		is    expression
		texts []string
	}{
		"assignment": {assignment, []string{"A=b", `a.b-c" += x`, "export X='y'"}},
		"setCommand": {setCommand, []string{"set -gx A b", "setenv A b", "# set A b", "x\n\tset  A b"}},
		"option":     {option, []string{"--token abc", "x --a-b\tc", `"--x y"`, "'(--x y"}},
		"header":     {header, []string{"Authorization: Bearer abcdefgh", "PRIVATE-TOKEN : abcdef", `"x-api-key":"abcdef"`, "x-auth-token:abcdef"}},
		"hereDoc":    {hereDoc, []string{"<<EOF", `<<-  "EOF"`, `<< \EOF`}},
		"fallback":   {fallback, []string{"${A:-b}", "${A-b}", "${A:=b}", "x${A=b}"}},
		"email":      {email, []string{"a@b.c", "a.b%c+d-e_f@g-h.i.j"}},
		"uuid":       {uuid, []string{"01234567-89ab-cdef-ABCD-0123456789ab"}},
		"host":       {host, []string{"a.b", "a-b.c.d:1"}},
		"address":    {address, []string{"a://b", "git+ssh://x"}},
		"connection": {connection, []string{"Password=x", "a;PWD = x", "x; SharedAccessSignature=y"}},
		"bearer":     {bearer, []string{"Bearer abcdefgh", "authorization=basic abcdefgh", `Authorization": "token  abcdefgh`}},
	} {
		for _, text := range c.texts {
			all := c.is.Regexp.FindAllStringSubmatchIndex(text, -1)
			if len(all) != 1 || len(c.is.FindAllStringSubmatchIndex(text, -1)) != 1 || c.is.FindStringSubmatchIndex(text) == nil || !c.is.MatchString(text) {
				t.Errorf("%s does not match %q, or is not asked", what, text)
			}
		}
		// Others, of what the expressions are made of.
		for range 2000 {
			text := ""
			for range 1 + rng.IntN(6) {
				text += parts[rng.IntN(len(parts))]
			}
			want := c.is.Regexp.FindAllStringSubmatchIndex(text, -1)
			if got := c.is.FindAllStringSubmatchIndex(text, -1); !reflect.DeepEqual(got, want) || c.is.MatchString(text) != (want != nil) {
				t.Errorf("%s finds %v in %q, want %v", what, got, text, want)
			}
		}
	}
}
