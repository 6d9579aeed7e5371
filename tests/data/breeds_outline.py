"""An outline of BREEDS' published hierarchy, with the numbers of its classes.

Down to level 5, nodes with four ImageNet classes or more. A number counts the
classes below a node that are below none of its children shown here: 890 in all.
Which classes they are is left out: they get made-up ids.
"""

import json

_OUTLINE = """
n00001740
  n00004258 5
    dummy21
      n12992868 1
        n12997654 6
    n00015388 8
      n01503061 9
        dummy6
          n01816887 4
        n01524359 11
        n01604330 4
        n01789386 3
          n01795088 4
        n01844917 24
      n01627424 3
        dummy8
          n01629276 5
      n01661091 3
        dummy9
          n01726692 17
        n01662622
          n01662784 5
        n01674216
          n01674464 11
      n01767661 2
        n01769347 3
          n01772222 6
        n01974773 5
          n01976957 4
        n02159955 13
          n02164464 8
          n02274259 6
      n01861778 12
        n02062017 4
        n02075296 23
          n02084071 118
          n02114100 4
          n02118333 4
          n02121808 5
          n02131653 4
        n02329401 6
        n02370806 17
        n02469914 2
          n02470325 5
          n02484322 13
      n01940736 2
        n01942177 4
      n02512053
        n01480516 5
        n02514825 11
  n00021939
    dummy44
      n04341686 17
        n02735688 3
          n04105068 4
        n02796623 4
          n03327234 4
        n02913152 10
          n03259505 7
          n03748162 9
          n03859280 4
      n09287968 10
    dummy63
      n02729837 1
        n03528263 16
      n03294048
        n03278248 23
          n03196324 4
        n03926148 4
        n04285146 8
          n02778669 10
      n03574816 2
        n03621049 12
          n03990474 4
        n03733925 5
          n04437953 8
        n03800933
          n03614532 4
          n03915437 6
          n04338517 6
          n04586932 10
        n04147495 4
        n04381994 9
          n02876657 4
        n04451818 22
        n04565375 7
    n00021265
      n07570720 9
        n07557434 9
      n07705711
        n07707451 8
          n07715561 4
        n13134947 16
      n07881800 4
    n03051540
      dummy32
        n03419014 14
          n03057021 9
          n04230808 4
      n02671780 7
        dummy34 4
        dummy35
          n02862048 4
        dummy52
          n02773037 4
        n03381126 9
        n03502509 8
          n03497657 4
        n03816005 8
      n04447443 1
        n03113152 6
    n03100490 2
      n03125870 1
        n02686568 4
        n04530566 1
          n02858304 8
          n04194289 6
      n04576211
        dummy30 4
        n02970849 5
        n03791235 2
          n02924116 4
          n02958343 13
          n04490091 9
        n04464852 4
        n04468005 6
    n03405265
      dummy38 11
      n03405725 5
        n02821943 4
        n04151581 5
        n04161981 3
          n03001627 4
        n04549122 7
"""

NAMES = {
    "entity13": (
        "garment, bird, reptile, arthropod, mammal, accessory, craft,"
        " equipment, furniture, instrument, man-made structure, wheeled"
        " vehicle, produce"
    ),
    "entity30": (
        "serpentes, passerine, saurian, arachnid, aquatic bird, crustacean,"
        " carnivore, insect, ungulate, primate, bony fish, barrier, building,"
        " electronic equipment, footwear, garment, headdress, home appliance,"
        " kitchen utensil, measuring device, motor vehicle, musical instrument,"
        " neckwear, sports equipment, tableware, tool, vessel, dish, vegetable,"
        " fruit"
    ),
    "nonliving26": (
        "bag, ball, boat, body armor, bottle, bus, car, chair, coat, digital"
        " computer, dwelling, fence, hat, keyboard instrument, mercantile"
        " establishment, outbuilding, percussion instrument, pot, roof, ship,"
        " skirt, stringed instrument, timepiece, truck, wind instrument, squash"
    ),
}
"""Superclasses as the paper's tables name them, in the order of their ids."""

IDS = {
    "entity13": (
        "dummy32 n01503061 n01661091 n01767661 n01861778 n02671780 n03125870"
        " n03294048 n03405725 n03574816 n04341686 n04576211 n07705711"
    ),
    "entity30": (
        "dummy9 n01524359 n01674216 n01769347 n01844917 n01974773 n02075296"
        " n02159955 n02370806 n02469914 n02514825 n02796623 n02913152 n03278248"
        " n03381126 n03419014 n03502509 n03528263 n03621049 n03733925 n03791235"
        " n03800933 n03816005 n04285146 n04381994 n04451818 n04530566 n07557434"
        " n07707451 n13134947"
    ),
    "nonliving26": (
        "n02773037 n02778669 n02858304 n02862048 n02876657 n02924116 n02958343"
        " n03001627 n03057021 n03196324 n03259505 n03327234 n03497657 n03614532"
        " n03748162 n03859280 n03915437 n03990474 n04105068 n04194289 n04230808"
        " n04338517 n04437953 n04490091 n04586932 n07715561"
    ),
}
"""Their nodes: WordNet's ids, and `dummyN` which are BREEDS' own."""


def write(folder) -> None:
  """Writes the three files as published."""
  edges, leaves, path = [], [], []
  for line in _OUTLINE.strip().splitlines():
    node, *number = line.split()
    level = (len(line) - len(line.lstrip())) // 2
    path[level:] = [node]
    if level:
      edges.append((path[-2], node))
    for _ in range(int(*number or (0,))):
      leaves.append(f"c{len(leaves):08d}")
      edges.append((node, leaves[-1]))
  folder.mkdir(exist_ok=True)
  (folder / "class_hierarchy.txt").write_text(
      "".join(f"{a} {b}\n" for a, b in edges)
  )
  names = {}
  for benchmark, ids in IDS.items():
    names |= dict(zip(ids.split(), NAMES[benchmark].split(", ")))
  (folder / "node_names.txt").write_text(
      "".join(f"{node}\t{name}\n" for node, name in names.items())
  )
  (folder / "dataset_class_info.json").write_text(
      json.dumps([[i, leaf, leaf] for i, leaf in enumerate(leaves)])
  )
