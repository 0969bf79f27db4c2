package meaning

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
)

// The kinds of sensitive data.
const (
	secretWord   = "a password or another secret"
	cardNumber   = "the number of a card"
	socialNumber = "a social security number"
)

// Sensitive says which sensitive data a field holds, by its name and its value: the number of a card or of social
// security, or, outside of context, a secret; "" for none.
func Sensitive(f Field) string {
	kind := sensitiveKind(f)
	if f.Block == "context" && kind == secretWord {
		return ""
	}
	return kind
}

func sensitiveKind(f Field) string {
	var text string
	switch v := f.Value.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	default:
		return ""
	}
	if strings.TrimSpace(text) == "" {
		return ""
	}
	if isCard(text) {
		return cardNumber
	}
	words := finding.Words(f.Name)
	for i, w := range words {
		words[i] = strings.ToLower(w)
	}
	name := strings.Join(words, "")
	switch {
	case name == "ssn" || name == "socialsecuritynumber" || name == "socialsecurity":
		return socialNumber
	case slices.Contains([]string{"creditcard", "creditcardnumber", "cardnumber", "ccnumber", "cvv", "cvc", "cardcvv",
		"cardcvc", "pan"}, name):
		return cardNumber
	case slices.Contains([]string{"password", "passwd", "pwd", "passphrase", "secret", "clientsecret", "apikey",
		"apisecret", "accesstoken", "refreshtoken", "authtoken", "bearertoken", "idtoken", "sessiontoken", "privatekey",
		"secretkey", "pin", "passcode", "otp", "authorization"}, name), len(words) > 1 && words[len(words)-1] == "password":
		if text == "true" || text == "false" {
			return ""
		}
		return secretWord
	}
	return ""
}

var cardForm = finding.Pattern(`^(\d{4}([ -]?)\d{4}([ -]?)\d{4}([ -]?)\d{1,7}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})$`)

// isCard reports whether a string is a number of a payment card: of one of the large
// networks, with the right check digit.
func isCard(v string) bool {
	if !cardForm().MatchString(v) || !strings.ContainsAny(v[:1], "3456") {
		return false
	}
	sum, double, digits := 0, false, 0
	for i := len(v) - 1; i >= 0; i-- {
		if v[i] < '0' || v[i] > '9' {
			continue
		}
		d := int(v[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double, digits = sum+d, !double, digits+1
	}
	return sum%10 == 0 && (digits == 15 || digits == 16)
}
