package vault

import "testing"

// TestExpressionsNeed: what an expression is said to need stands in all that it matches.
func TestExpressionsNeed(t *testing.T) {
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
		if all := c.is.FindAllStringSubmatchIndex("nothing", -1); all != nil || c.is.FindStringSubmatchIndex("nothing") != nil || c.is.MatchString("nothing") {
			t.Errorf("%s matches nothing: %v", what, all)
		}
	}
}
