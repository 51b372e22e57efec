"""Writes oniguruma_random.json.gz: random patterns and how Oniguruma cuts texts with them.

python3 oniguruma_random.py   (made with tokenizers 0.23.2)
"""

import gzip
import json
import random
from pathlib import Path

from tokenizers import Regex, pre_tokenizers
random.seed(7)
atoms=["a","b","ab","A","ß","s","ss","ſ","é"," ","\\n","1","_","²","\\w","\\W","\\d","\\s","\\S","\\h",".","[ab]","[^ab]","[a-c1]","[\\w&&[^a]]","[^\\s\\p{L}]","\\p{L}","\\p{N}","\\p{Lu}","[[:punct:]]","[[:alpha:]]","(?i:ss)","(?i:[ß])","(?i:[^s])","\\b","\\B","^","$","\\A","\\z","\\Z","\\R","\\x{df}","-","'"]
quant=["*","+","?","*?","+?","??","*+","++","?+","{2}","{1,2}","{,2}","{2,}","{1,2}?","{2}?","{1,2}+","{0}","{2}+"]
def node(d):
    r=random.random()
    if d<=0 or r<0.45:
        x=random.choice(atoms)
        if random.random()<0.35: x+=random.choice(quant)
        return x
    if r<0.6: return "".join(node(d-1) for _ in range(random.randint(1,3)))
    if r<0.72: return "(?:"+"|".join(node(d-1) for _ in range(random.randint(1,3)))+")"+(random.choice(quant) if random.random()<0.5 else "")
    if r<0.78: return "("+node(d-1)+"|"+node(d-1)+")"+(random.choice(quant) if random.random()<0.5 else "")
    if r<0.82: return "(?>"+node(d-1)+")"
    if r<0.86: return "(?="+node(d-1)+")"
    if r<0.89: return "(?!"+node(d-1)+")"
    if r<0.92: return "(?<="+random.choice(atoms)+")"
    if r<0.94: return "(?<!"+random.choice(atoms)+")"
    if r<0.97: return "(?i:"+node(d-1)+")"
    if r<0.985: return "(?m:"+node(d-1)+")"
    return "(?i)"+node(d-1)
texts=["ab aab\nABß ss Ss ſs 1_²a","aaaa bb\n\n a-b 'x' é1É","  \r\n a1b2 \u2028 ẞ ss","","abab12 !? ²²½ _a_"]
out=[]
while len(out)<1200:
    p="".join(node(3) for _ in range(random.randint(1,2)))
    if random.random()<0.3: p+="|"+node(2)
    try: r=Regex(p)
    except BaseException: continue
    res=[]
    try:
        for t in texts: res.append([x for x,_ in pre_tokenizers.Split(r,"isolated").pre_tokenize_str(t)])
    except BaseException: continue
    out.append([p,res])
data = json.dumps({"texts": texts, "cases": out}, separators=(",", ":")).encode()
Path(__file__).with_suffix(".json.gz").write_bytes(gzip.compress(data, 9, mtime=0))
