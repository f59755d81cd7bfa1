"""What too many people take as a password: words, and walks over keyboards (Latin, Cyrillic).

Law: words without digits and signs, in small letters; what is put around them makes them no better. Gathered by hand from what
published lists have in common, and from the trade and the country.
"""

_WORDS = """
password passwort parol parolim parole mypassword newpassword thepassword passphrase passw passwd pass secret topsecret changeme
changemenow changeit letmein letmeinnow welcome welcomehome welcometo hello helloworld iloveyou loveyou ilove loveme trustno trustnoone
admin administrator adminadmin administratsiya superuser superadmin root rootroot toor sysadmin system manager supervisor operator
dispatcher dispatcherdesk officer inspector auditor customs customsoffice tamojnya tamozhnya bojxona bojxonachi plomba plombaplomba
seal cargo truck transit border guest user username testing test tests tester testtest demo demodemo default master masterkey login
loginlogin logmein access accessgranted company office computer internet samsung android iphone microsoft windows google facebook
instagram telegram whatsapp youtube yandex mailru gmail starwars superman batman spiderman pokemon dragon monkey football footballer
baseball basketball hockey soccer liverpool manchester barcelona realmadrid chelsea arsenal juventus spartak pakhtakor paxtakor
princess sunshine shadow summer winter autumn spring flower butterfly chocolate cookie cheese freedom whatever nothing forever
jesuschrist blessed michael jennifer jessica christopher alexander alexandr aleksandr andrei andrey sergei sergey dmitry dmitriy natasha
natalia ekaterina anastasia vladimir nikolai nikolay tatiana svetlana marina jasur jahongir sherzod sardor otabek ulugbek dilshod
dilnoza gulnora malika nodira shahzod bekzod aziza azizbek islom muhammad muhammadali abdulla abdullah rustam timur temur amirtemur
tashkent toshkent toshkentshahar samarkand samarqand bukhara buxoro fergana fargona andijan andijon namangan xorazm khiva xiva navoiy
qarshi termez termiz jizzax guliston nukus uzbekistan ozbekiston uzbekiston vatan vatanim onajonim mustaqillik rossiya russia moskva moscow
kazakhstan qozogiston almaty america london unitedstates newyork paradise justinbieber metallica nirvana slipknot matrix qwertyuiop
ferrari mercedes mustang porsche chevrolet chevroletnexia nexia matiz cobalt gentra lacetti spark tracker
security safety emergency police government ministry republic president lucky luckyday goodluck happy happybirthday birthday
пароль парольпароль мойпароль админ администратор привет приветпривет любовь люблю ялюблютебя наташа максим андрей сергей марина
солнышко россия москва ташкент узбекистан таможня пломба секрет оператор инспектор диспетчер спартак зенит
"""
WORDS = frozenset(_WORDS.split())

_ROWS = (
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1234567890",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
)
_COLUMNS = (
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "qazwsxedcrfvtgbyhnujmikolp",
)
_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "01234567890123456789",
)


def _walks() -> tuple[str, ...]:
    keyboards = (
        "".join(_ROWS[:3]),
        "".join(_ROWS[4:]),
        _ROWS[3] + "".join(_ROWS[:3]),
        "".join(_ROWS[:3]) + _ROWS[3],
    )
    mixed = tuple(row + digits for row in _ROWS[:3] for digits in ("1234567890", "0987654321"))
    ahead = tuple(digits + row for row in _ROWS[:3] for digits in ("1234567890",))
    forth = (*keyboards, *mixed, *ahead, *_COLUMNS, *_ALPHABETS)
    return (*forth, *(walk[::-1] for walk in forth))


WALKS = _walks()
